//! Repositories in a real S3 over HTTP, checked by ourselves and by the stock `restic`.

#![allow(clippy::unwrap_used, reason = "a set-up that fails is a test that fails")]

mod support;

mod completeness;
mod damage;
mod faults;
mod restic;
mod round_trip;
