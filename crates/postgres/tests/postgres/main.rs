//! This crate against a real PostgreSQL: one private server for all tests
//! that run at the same time, ended with the last of them.

#![allow(clippy::unwrap_used, reason = "what a test needs must be there")]

mod assignment;
mod claims;
mod creation;
mod dump;
mod fixture;
mod lanes;
mod private_server;
mod psql;
mod retirement;
mod swap;
