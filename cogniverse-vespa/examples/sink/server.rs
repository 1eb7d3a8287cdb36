//! HTTP/1.1 and HTTP/2 in the clear.

use crate::answers::Answers;
use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

type Last = Arc<Mutex<Bytes>>;

/// Answers until the process is stopped.
pub(crate) async fn serve(listener: TcpListener, answers: Arc<Answers>) -> Result<()> {
    let last = Last::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (answers, last) = (Arc::clone(&answers), Arc::clone(&last));
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&answers), Arc::clone(&last)));
            let mut builder = Builder::new(TokioExecutor::new());
            // As many streams, and as wide, as no client waits for.
            builder
                .http2()
                .max_concurrent_streams(4096)
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(16 << 20);
            // A client that goes away is no failure.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    answers: Arc<Answers>,
    last: Last,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(respond(StatusCode::BAD_REQUEST, Bytes::new())) };
    let path = head.uri.path();
    let found = if path.starts_with("/document/v1/") {
        answers.document.clone()
    } else if path == "/search/" {
        if head.method == Method::POST {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = body.to_bytes();
        }
        answers.search.clone()
    } else if path == "/sink/search" {
        last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    } else if path == "/application/v2/tenant/default/application/default" {
        answers.application.clone()
    } else if path.ends_with("/content/files/cogniverse.json") {
        answers.manifest.clone()
    } else if path.ends_with("/serviceconverge") {
        answers.converged.clone()
    } else if matches!(path, "/status.html" | "/state/v1/health" | "/ApplicationStatus") {
        Bytes::from_static(b"{}")
    } else {
        return Ok(respond(StatusCode::NOT_FOUND, Bytes::from_static(b"{\"message\":\"the sink has no such thing\"}")));
    };
    Ok(respond(StatusCode::OK, found))
}

fn respond(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json;charset=utf-8"));
    response
}
