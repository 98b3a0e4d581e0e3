//! `/api/v1/session`: a browser signs in with a key and gets a cookie that scripts cannot read and other sites cannot send.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use dogwatch_store::{AuditAction, Scope, Session};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::body::Object;
use super::error::Problem;
use super::guard::{self, COOKIE, ClientAddress};
use super::parts::Path;
use crate::access::{Caller, Credential, SessionToken};
use crate::metrics::Page;

/// How long a browser stays signed in.
const LENGTH: TimeDelta = TimeDelta::days(30);

/// Whoever has no key comes here for one: no guard stands before these.
pub(super) fn open_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(sign_in, sign_out))
}

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(who))
}

pub(super) fn of_all() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(end))
}

/// Apart: what it answers is a secret, which is remembered nowhere.
pub(super) fn codes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(new_code))
}

/// What a browser shows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// An API key …
    key: Option<String>,
    /// … or the code of a link that `dogwatch sign-in` printed.
    code: Option<String>,
}

/// A code for a link.
#[derive(Serialize, ToSchema)]
struct Code {
    /// With `/sign-in#code=` before it, a browser signs in, once.
    code: String,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
struct Who {
    /// What people call the key.
    name: String,
    /// What it may.
    scopes: Vec<Scope>,
    /// Whose data it sees; absent: everybody's.
    tenant: Option<String>,
    /// False: this address needs no key.
    has_key: bool,
}

impl From<Caller> for Who {
    fn from(caller: Caller) -> Self {
        let scopes = Scope::ALL.iter().copied().filter(|scope| caller.may(*scope)).collect();
        Self { has_key: caller.key.is_some(), scopes, name: caller.name, tenant: caller.tenant }
    }
}

/// Who this is
#[utoipa::path(get, path = "/session", tag = "session", responses((status = 200, body = Who)))]
async fn who(caller: Caller) -> Json<Who> {
    Json(caller.into())
}

/// Sign in with a key
#[utoipa::path(post, path = "/session", tag = "session", request_body = SignIn, responses((status = 200, body = Who)))]
async fn sign_in(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    Object(SignIn { key, code }): Object<SignIn>,
) -> Result<Response, Problem> {
    let caller = match (key, code) {
        (Some(key), None) => state.keyring.caller(Some(&Credential::Key(key)), address).await?,
        (None, Some(code)) => state.keyring.owner_by_code(&code, address).await?,
        _ => return Err(Problem::at("", "write `key`, or `code`")),
    };
    state.guard.count(caller.key)?;
    let token = SessionToken::random();
    let now = state.clock.now();
    if let Some(key) = caller.key {
        let address = caller.address.as_deref();
        state.store.insert_session(&token.sha256(), key, address, now, now + LENGTH).await?;
    } else if let Some(local) = state.keyring.local() {
        local.begin_session(&token, now + LENGTH, now);
    }
    caller.actor().did(&state.store, AuditAction::SignedIn, None).await;
    let cookie = cookie(token.expose(), LENGTH.num_seconds(), &headers);
    Ok(([cookie], Json(Who::from(caller))).into_response())
}

/// Make a code with which a browser of this machine signs in, once; where there are keys, it signs in with one
#[utoipa::path(post, path = "/session/codes", tag = "session", responses((status = 201, body = Code)))]
async fn new_code(State(state): State<ApiState>) -> Result<(StatusCode, Json<Code>), Problem> {
    let code = state.keyring.sign_in_code().await?;
    let code = code
        .ok_or_else(|| Problem::new(StatusCode::CONFLICT, "there are API keys; sign in with one of them"))?;
    Ok((StatusCode::CREATED, Json(Code { code: code.expose().to_owned() })))
}

/// Sign out
#[utoipa::path(delete, path = "/session", tag = "session", responses((status = 204)))]
async fn sign_out(State(state): State<ApiState>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(token) = guard::session(&headers) {
        let token = SessionToken::of(&token);
        state.store.end_session(&token.sha256()).await?;
        state.keyring.forget_session(&token);
    }
    Ok((StatusCode::NO_CONTENT, [cookie("", 0, &headers)]).into_response())
}

/// Browsers that have signed in
#[utoipa::path(get, path = "/sessions", tag = "session", responses((status = 200, body = Page<Session>)))]
async fn list(State(state): State<ApiState>) -> Result<Json<Page<Session>>, Problem> {
    Ok(Json(Page { items: state.store.sessions(state.clock.now()).await?, next_cursor: None }))
}

/// Sign a browser out: within seconds it has to sign in again
#[utoipa::path(delete, path = "/sessions/{id}", tag = "session", params(("id" = Uuid, Path)), responses((status = 204)))]
async fn end(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    if !state.store.end_session_by_id(id).await? {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no session `{id}`")));
    }
    caller.actor().did(&state.store, AuditAction::SessionEnded, id.to_string()).await;
    Ok(StatusCode::NO_CONTENT)
}

fn cookie(value: &str, max_age_s: i64, headers: &HeaderMap) -> (HeaderName, String) {
    let is_secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let secure = if is_secure { "; Secure" } else { "" };
    (
        header::SET_COOKIE,
        format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}"),
    )
}
