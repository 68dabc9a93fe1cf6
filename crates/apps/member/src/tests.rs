//! A member's life over a container in memory, with the real engine.

mod fakes;
mod lease;
mod life;
