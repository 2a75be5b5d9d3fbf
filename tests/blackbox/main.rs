//! Black-box tests: the real binary, PostgreSQL, and S3 over HTTP.

mod audit;
mod authentication;
mod authorization;
mod body;
mod bundle;
mod cli;
mod contract;
mod crash;
mod dev;
mod idempotency;
mod input;
mod lane;
mod lifecycle;
mod outage;
mod paging;
mod problem;
mod quiet;
mod restic;
mod rpc;
mod secrecy;
mod settle;
mod shutdown;
mod tidy;
mod watch;
mod world;
mod zombie;
