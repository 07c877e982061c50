//! The pages that mails lead to: confirmation of an account, and renewal of a password.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, RawQuery, Request, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use freehold_kinds::session::pages::{self, Page, Visit};
use freehold_store::{Actor, Snapshot};
use freehold_types::{ApiError, Timestamp};
use freehold_web::{error, query::Query};
use http::{HeaderName, StatusCode};

use super::engine::{self, Engine};

type Act = fn(&Visit<'_>) -> Result<Page, ApiError>;

/// The pages.
pub(super) fn routes() -> Router<Engine> {
    Router::new()
        .route(
            pages::CONFIRM,
            page(|visit| Ok(pages::confirm_page(visit)), |visit| Ok(pages::confirm(visit))),
        )
        .route(pages::FORGOT, page(|visit| Ok(pages::forgot_page(visit)), pages::forgot))
}

fn page(show: Act, act: Act) -> axum::routing::MethodRouter<Engine> {
    get(move |State(engine): State<Engine>, RawQuery(query): RawQuery, request: Request| {
        answer(engine, query, peer(&request), show)
    })
    .post(move |State(engine): State<Engine>, RawQuery(query): RawQuery, request: Request| {
        answer(engine, query, peer(&request), act)
    })
}

fn peer(request: &Request) -> Option<std::net::SocketAddr> {
    request.extensions().get::<ConnectInfo<std::net::SocketAddr>>().map(|ConnectInfo(address)| *address)
}

async fn answer(
    engine: Engine,
    query: Option<String>,
    peer: Option<std::net::SocketAddr>,
    act: Act,
) -> Response {
    let from = peer.map(|peer| peer.ip());
    let done = async {
        engine.limiter().admit(from)?;
        let query = Arc::new(Query::read(query.as_deref(), pages::PARAMETERS)?);
        transact(&engine, query, from.map(|peer| peer.to_string()).unwrap_or_default(), act).await
    };
    match done.await {
        Ok(page) => {
            let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let headers = [
                (HeaderName::from_static("content-security-policy"), pages::CONTENT_SECURITY_POLICY),
                (HeaderName::from_static("referrer-policy"), "no-referrer"),
                (HeaderName::from_static("cache-control"), "no-store"),
            ];
            (status, headers, Html(page.html)).into_response()
        }
        Err(failure) => error::response(&failure),
    }
}

async fn transact(engine: &Engine, query: Arc<Query>, from: String, act: Act) -> Result<Page, ApiError> {
    let environment = engine.environment().clone();
    let plan = move |snapshot: &Snapshot| {
        let now = Timestamp::now();
        act(&Visit { snapshot, query: &query, now, environment: &environment })
            .map(|mut page| (std::mem::take(&mut page.transaction), page))
    };
    let actor =
        Actor { who: "holder of a mailed link".to_owned(), from, why: "confirmation page".to_owned() };
    let (store, runtime) = (engine.store().clone(), tokio::runtime::Handle::current());
    // A new password is hashed, which takes long enough to hold up other requests of the thread.
    let committed = tokio::task::spawn_blocking(move || runtime.block_on(store.transact(actor, plan)))
        .await
        .map_err(|error| ApiError::internal(format!("the request was dropped: {error}")))?;
    committed.map_err(|failure| engine::refused(&failure))?.map(|(page, _)| page)
}
