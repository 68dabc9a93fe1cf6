//! Who may call: bearer tokens, kept as hashes only.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use om_api::{Code, Problem};
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::answer::Refused;

/// The tokens that are accepted.
#[derive(Clone)]
pub struct Tokens {
    hashes: Vec<[u8; 32]>,
    place: String,
}

impl Tokens {
    /// Accepts `token`, which people find at `place` (told to those who come without).
    pub fn new(token: &str, place: impl Into<String>) -> Self {
        Self { hashes: vec![hash(token)], place: place.into() }
    }

    /// True if `token` is one of them. Takes the same time whichever byte differs: only hashes are compared, whole.
    fn accept(&self, token: &str) -> bool {
        let given = hash(token);
        let differs = |known: &[u8; 32]| known.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b));
        self.hashes.iter().fold(false, |found, known| found | (differs(known) == 0))
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Lets a request through that has a token.
pub(crate) async fn require(State(app): State<App>, request: Request, next: Next) -> Response {
    let tokens = &app.settings.tokens;
    let detail = match bearer(request.headers()) {
        Some(token) if tokens.accept(token) => return next.run(request).await,
        Some(_) => "the token is not the right one",
        None => "the request has no `Authorization: Bearer <token>`",
    };
    let problem = Problem::new(Code::Unauthorized, detail);
    Refused::from(problem.next(format!("the admin token is on the server's machine: {}", tokens.place))).into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
