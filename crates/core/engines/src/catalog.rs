//! All engines of this release.

use om_model::FieldError;

use crate::engine::Engine;
use crate::postgresql::Postgresql;

static POSTGRESQL: Postgresql = Postgresql;

/// Every engine of this release, in the order they are listed.
pub fn all() -> [&'static dyn Engine; 1] {
    [&POSTGRESQL]
}

/// The engine called `name`.
///
/// # Errors
/// Names the engines there are.
pub fn find(name: &str) -> Result<&'static dyn Engine, FieldError> {
    all().into_iter().find(|engine| engine.name() == name).ok_or_else(|| {
        let known: Vec<_> = all().iter().map(|engine| engine.name()).collect();
        FieldError::new("engine", format!("{name:?} is not in this release"), known.join(", "))
    })
}
