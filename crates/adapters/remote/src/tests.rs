//! Both ends over real TLS on the loopback interface.

mod calls;
mod failover;
mod joining;
mod recorder;
mod rotation;
mod trust;
mod world;
