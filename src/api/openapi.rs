//! The description of the API, made of the handlers: `/openapi.json`, and a page at `/docs` that shows it. What a group of routes
//! needs is written into the description by the same call that puts the guard before it.

use axum::Router;
use axum::http::{HeaderValue, header};
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
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'";

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
        for operation in operations(item) {
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
    for item in description.paths.paths.values_mut() {
        for operation in operations(item) {
            operation
                .responses
                .responses
                .entry("default".to_owned())
                .or_insert_with(|| response.clone().into());
        }
    }
    description
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
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
