//! What is told of each request, and that telling harms none.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::convert::Infallible;
use std::io::Read;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use dogwatch_testing::{HttpPeer, eventually};
use dogwatch_tower::Dogwatch;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tower::{Layer, Service, ServiceExt};

const LONG: Duration = Duration::from_mins(1);

fn start(peer: &HttpPeer) -> Dogwatch {
    let builder = Dogwatch::builder("shop").version("1.2.3").host("web-1").endpoint(peer.url());
    builder.header("authorization", "Bearer k").capture_header("X-Tenant-Id").start().unwrap()
}

fn unpacked(request: &dogwatch_testing::Request) -> ExportTraceServiceRequest {
    assert_eq!(request.headers["content-encoding"], "gzip");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&request.bytes[..]).read_to_end(&mut bytes).unwrap();
    ExportTraceServiceRequest::decode(&bytes[..]).unwrap()
}

/// All spans that came so far.
fn spans(peer: &HttpPeer) -> Vec<Span> {
    let requests = peer.requests();
    let of = requests.iter().flat_map(|request| unpacked(request).resource_spans);
    of.flat_map(|of_resource| of_resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(list)) => format!("{:?}", list.values[0].value),
        _ => String::new(),
    }
}

fn took_ms(span: &Span) -> u64 {
    (span.end_time_unix_nano - span.start_time_unix_nano) / 1_000_000
}

fn ask(path: &str) -> Request<Body> {
    Request::get(path).header("x-tenant-id", "t1").body(Body::empty()).unwrap()
}

async fn slow_parts() -> Response<Body> {
    let part = |number: u8| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, Infallible>(vec![number; 10])
    };
    Response::new(Body::from_stream(stream::iter(0..3).then(part)))
}

async fn broken_parts() -> Response<Body> {
    Response::new(Body::from_stream(stream::iter([Ok("a"), Err("the disk is gone")])))
}

async fn bug() {
    panic!("a bug")
}

fn router(dogwatch: &Dogwatch) -> Router {
    Router::new()
        .route("/users/{id}", get(|| async { "a user" }))
        .route("/parts", get(slow_parts))
        .route("/broken", get(broken_parts))
        .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/panic", get(bug))
        .route("/never", get(std::future::pending::<()>))
        .layer(dogwatch.layer())
}

#[tokio::test]
async fn each_request_is_told_of_once_with_what_became_of_it() {
    let peer = HttpPeer::start().await;
    let dogwatch = start(&peer);
    let app = router(&dogwatch);
    for path in ["/users/7", "/busy", "/nowhere/42"] {
        let answer = app.clone().oneshot(ask(path)).await.unwrap();
        let _ = answer.into_body().collect().await.unwrap();
    }
    let parts = app.clone().oneshot(ask("/parts")).await.unwrap();
    assert_eq!(parts.into_body().collect().await.unwrap().to_bytes().len(), 30);
    assert!(app.clone().oneshot(ask("/broken")).await.unwrap().into_body().collect().await.is_err());
    let panicking = tokio::spawn(app.clone().oneshot(ask("/panic")));
    assert!(panicking.await.unwrap_err().is_panic());
    // A client that goes away.
    let mut waiting = Box::pin(app.clone().oneshot(ask("/never")));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(waiting);
    dogwatch.shutdown().await;

    let spans = spans(&peer);
    assert_eq!(spans.len(), 7);
    let of = |route: &str| {
        let is =
            |span: &&Span| attribute(span, "http.route") == route || attribute(span, "url.path") == route;
        spans.iter().find(is).unwrap_or_else(|| panic!("{route}: {spans:#?}"))
    };
    let user = of("/users/{id}");
    assert_eq!((attribute(user, "http.response.status_code"), user.kind), ("200".to_owned(), 2));
    assert!(attribute(user, "http.request.header.x-tenant-id").contains("t1"), "{user:?}");
    assert_eq!((user.trace_id.len(), user.span_id.len(), &user.status), (16, 8, &None));
    assert_eq!(attribute(of("/nowhere/42"), "http.response.status_code"), "404");
    assert_eq!(attribute(of("/busy"), "error.type"), "503");
    // To the end of the body, and not to its beginning.
    assert!(took_ms(of("/parts")) >= 60, "{}", took_ms(of("/parts")));
    let failed = |route| of(route).status.as_ref().unwrap();
    assert_eq!((failed("/broken").code, &failed("/broken").message[..]), (2, "the disk is gone"));
    assert_eq!((failed("/panic").code, &failed("/panic").message[..]), (2, "panic"));
    let never = of("/never");
    assert_eq!((attribute(never, "http.response.status_code"), &never.status), (String::new(), &None));

    let first = &peer.requests()[0];
    assert_eq!((&first.path[..], &first.headers["authorization"][..]), ("/v1/traces", "Bearer k"));
    let resource = unpacked(first).resource_spans.remove(0).resource.unwrap();
    let named = Span { attributes: resource.attributes, ..Span::default() };
    let known = ["service.name", "service.version", "host.name"].map(|key| attribute(&named, key));
    assert_eq!(known, ["shop", "1.2.3", "web-1"]);
    assert_eq!(dogwatch.dropped(), 0);
}

#[tokio::test]
async fn a_trace_that_comes_in_is_gone_on_with_and_a_service_that_fails_is_told_of() {
    let peer = HttpPeer::start().await;
    let dogwatch = start(&peer);
    let failing = tower::service_fn(async |_: Request<Body>| Err::<Response<Body>, _>("no upstream"));
    let mut service = dogwatch.layer().route_of(|_| Some("/proxy".to_owned())).layer(failing);
    let mut request = ask("/x");
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.headers_mut().insert("traceparent", header.parse().unwrap());
    assert_eq!(service.ready().await.unwrap().call(request).await.unwrap_err(), "no upstream");
    // By hand, in a request and alone.
    let total = dogwatch.track("checkout", async { 42 }).await;
    let mut import = dogwatch.operation("import");
    import.fail("no such file");
    drop(import);
    dogwatch.shutdown().await;

    let spans = spans(&peer);
    assert_eq!((total, spans.len()), (42, 3));
    assert_eq!(spans[0].trace_id[..4], [0x4b, 0xf9, 0x2f, 0x35]);
    assert_eq!(spans[0].parent_span_id, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    assert_eq!(attribute(&spans[0], "http.route"), "/proxy");
    assert_eq!(spans[0].status.as_ref().unwrap().message, "no upstream");
    assert_eq!(attribute(&spans[1], "dogwatch.operation"), "checkout");
    assert_eq!(spans[2].status.as_ref().unwrap().message, "no such file");
}

#[tokio::test]
async fn while_dogwatch_is_away_requests_go_on_what_waits_is_bounded_and_comes_when_it_is_back() {
    let peer = HttpPeer::start().await;
    peer.pause().await;
    let dogwatch = Dogwatch::builder("shop").endpoint(peer.url()).capacity(100).start().unwrap();
    let app = router(&dogwatch);
    for _ in 0..2_000 {
        assert_eq!(app.clone().oneshot(ask("/users/7")).await.unwrap().status(), 200);
    }
    // One group is being tried, and the queue is full.
    assert!(dogwatch.dropped() >= 1_000, "{}", dogwatch.dropped());
    let dropped = dogwatch.dropped();
    peer.answer(503, "not now");
    peer.resume().await;
    peer.wait_for(1, LONG).await;
    peer.answer(200, "");
    let sent = usize::try_from(2_000 - dropped).unwrap();
    // What was refused was sent again: the same spans.
    let arrived = async || {
        let mut ids: Vec<_> = spans(&peer).into_iter().map(|span| span.span_id).collect();
        ids.sort();
        ids.dedup();
        ids.len() == sent
    };
    eventually(LONG, "all that was kept has come", arrived).await;
    assert_eq!(dogwatch.dropped(), dropped);
}

#[tokio::test]
async fn what_is_refused_for_good_is_dropped_and_counted() {
    let peer = HttpPeer::start().await;
    peer.answer(400, "no");
    let dogwatch = start(&peer);
    dogwatch.track("checkout", async {}).await;
    let is_dropped = async || dogwatch.dropped() == 1;
    eventually(LONG, "it is dropped", is_dropped).await;
    assert_eq!(peer.requests().len(), 1);
    // Nobody listens any more.
    dogwatch.shutdown().await;
    dogwatch.track("checkout", async {}).await;
    eventually(LONG, "it is dropped", async || dogwatch.dropped() == 2).await;
}

#[tokio::test]
async fn what_cannot_work_is_said_at_the_start() {
    let start = |builder: dogwatch_tower::Builder| builder.start().unwrap_err().to_string();
    let shop = || Dogwatch::builder("shop");
    for endpoint in ["127.0.0.1:4318", "ftp://x", "http://", "x y"] {
        assert!(start(shop().endpoint(endpoint)).contains("is no address to send to"), "{endpoint}");
    }
    assert_eq!(start(shop().header("x y", "1")), "`x y` is no header, or its value cannot be sent");
    assert!(start(shop().capture_header("é")).contains("is no header"));
    let outside = std::thread::spawn(|| Dogwatch::builder("shop").start().unwrap_err().to_string());
    assert!(outside.join().unwrap().contains("no Tokio runtime"));
}
