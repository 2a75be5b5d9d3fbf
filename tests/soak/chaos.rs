//! Killing, freezing and lying.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Result, world::World};

/// Longer than a lease.
const FREEZE: Duration = Duration::from_secs(5);

/// Disturbs the world until `stop`, and leaves it whole.
pub async fn run(mut random: fastrand::Rng, world: &World, stop: &CancellationToken) -> Result<()> {
    loop {
        let pause = Duration::from_millis(random.u64(700..3500));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            break;
        }
        let _disturbing = world.still.read().await;
        disturb(&mut random, world).await?;
        world.revive().await;
    }
    world.env.read().await.s3.faults().clear();
    world.revive().await;
    Ok(())
}

async fn disturb(random: &mut fastrand::Rng, world: &World) -> Result<()> {
    match random.u32(0..12) {
        0..=3 => {
            let worker = random.usize(0..2);
            world.processes.lock().await.workers[worker].kill();
            world.count("worker killed");
        }
        4 | 5 => {
            world.processes.lock().await.api.kill();
            world.count("API killed");
        }
        6 => {
            let mut env = world.env.write().await;
            env.postgres.kill_hard().await?;
            env.postgres.start_again().await?;
            world.count("PostgreSQL killed");
        }
        7 | 8 => {
            let worker = random.usize(0..2);
            world.processes.lock().await.workers[worker].freeze();
            tokio::time::sleep(FREEZE).await;
            world.processes.lock().await.workers[worker].thaw();
            world.count("worker frozen past its lease");
        }
        kind => {
            let requests = random.u64(1..20);
            let env = world.env.read().await;
            match kind {
                9 => env.s3.faults().fail_next(requests),
                10 => env.s3.faults().cut_next(requests),
                _ => env.s3.faults().stall_next(requests),
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
            env.s3.faults().clear();
            world.count("S3 failed");
        }
    }
    Ok(())
}
