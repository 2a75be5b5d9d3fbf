//! The soak: load that remembers what it was told, while processes are killed
//! and frozen, storage fails, and the identity database goes back to what it
//! was. In the end everything that was acknowledged has to be there.
//!
//! Ends by itself, and with an error where anything was lost.

mod actor;
mod chaos;
mod check;
mod client;
mod history;
mod model;
mod world;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{history::go_back, model::Model, world::World};

/// What keeps the soak from going on.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Loads the product while it is killed, frozen and lied to, and compares what
/// it acknowledged with what is there.
#[derive(Debug, Parser)]
#[command(name = "yuantus-soak")]
struct Arguments {
    /// How many minutes it is loaded; the comparison in the end takes more.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// How many tenants are loaded side by side.
    #[arg(long, default_value_t = 4)]
    tenants: usize,
    /// What the random choices follow from; the time of day where none is given.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}");
    fastrand::seed(seed);
    let begun = Instant::now();
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let world = Arc::new(World::start().await?);
    let model = Arc::new(Model::default());
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    for number in 0..arguments.tenants {
        let random = fastrand::Rng::with_seed(seed ^ number as u64);
        let (world, model, stop) = (world.clone(), model.clone(), stop.clone());
        tasks.spawn(async move { actor::run(number, random, &world, &model, &stop).await });
    }
    let random = fastrand::Rng::with_seed(!seed);
    let (chaotic, stopped) = (world.clone(), stop.clone());
    tasks.spawn(async move { chaos::run(random, &chaotic, &stopped).await });
    let travel = async {
        tokio::time::sleep(length / 2).await;
        go_back(&world, &model, length / 10).await?;
        tokio::time::sleep(length.saturating_sub(begun.elapsed())).await;
        Ok::<_, Error>(())
    };
    let ended = tokio::select! {
        ended = travel => ended,
        Some(task) = tasks.join_next() => task?.and(Err("a task ended before its time".into())),
    };
    stop.cancel();
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    ended?;
    check::all(&world, &model).await?;
    model.print(begun.elapsed(), &world)
}
