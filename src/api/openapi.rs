//! The description of the API, made of the handlers: `/openapi.json`, and a page at `/docs` that shows it. What a group of routes
//! needs is written into the description by the same call that puts the guard before it.

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use dogwatch_store::Scope;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::ApiState;
use super::error::Problem;
use super::guard::{self, Guard, Tenants};

/// The name of the way to show a key.
const KEY: &str = "key";
/// The page has scripts and styles of its own, and reaches nothing else. Its styles stand in its elements.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Dogwatch",
        description = "Monitoring jobs, alerts and reports. Errors are problem documents (RFC 9457), times are RFC 3339, lists are \
                       paged with `limit` and `cursor`. A key of a tenant sees that tenant alone."
    ),
    components(schemas(Problem))
)]
struct Description;

/// The beginning of the description.
pub(super) fn description() -> OpenApi {
    let mut description = Description::openapi();
    let components = description.components.get_or_insert_default();
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.security_schemes.insert(KEY.to_owned(), scheme.into());
    description
}

/// Puts a guard before these routes, and says so.
pub(super) fn guarded(
    routes: OpenApiRouter<ApiState>,
    guard: &Guard,
    scope: Scope,
    tenants: Tenants,
) -> OpenApiRouter<ApiState> {
    let mut routes = routes;
    for item in routes.get_openapi_mut().paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            operation.security = Some(vec![SecurityRequirement::new(KEY, [scope.as_str()])]);
            let word = if tenants == Tenants::Own { "own" } else { "all" };
            let extension = ExtensionsBuilder::new().add("x-tenants", word).build();
            operation.extensions.get_or_insert_default().merge(extension);
        }
    }
    routes.route_layer(from_fn_with_state(guard.of(scope, tenants), guard::admit))
}

/// Every operation may be answered with a problem.
pub(super) fn with_problems(mut description: OpenApi) -> OpenApi {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(RefOr::Ref(schema))).build();
    let response =
        ResponseBuilder::new().description("a problem").content("application/problem+json", content).build();
    for (path, item) in &mut description.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(format!(
                "{method}{}",
                path.trim_start_matches("/api/v1").replace(['/', '-', '{', '}'], "_")
            ));
            let responses = &mut operation.responses.responses;
            responses.entry("default".to_owned()).or_insert_with(|| response.clone().into());
            for (status, response) in responses {
                if let RefOr::T(response) = response
                    && response.description.is_empty()
                {
                    let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
                    let reason = status.and_then(|status| status.canonical_reason()).unwrap_or("success");
                    reason.clone_into(&mut response.description);
                }
            }
        }
    }
    description
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    let methods = [("get", get), ("post", post), ("put", put), ("patch", patch), ("delete", delete)];
    methods.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The page.
pub(super) fn docs(description: OpenApi) -> Router<ApiState> {
    let page = SwaggerUi::new("/docs")
        .url("/openapi.json", description)
        .config(Config::default().validator_url("none"));
    let policy = SetResponseHeaderLayer::overriding(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(DOCS_POLICY),
    );
    Router::new().merge(page).layer(policy)
}
