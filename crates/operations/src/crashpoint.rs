//! Places where a test may kill this process, to prove that what comes after
//! a restart converges. Only in builds with debug assertions.

/// Kills this process with SIGKILL at the n-th hit of `name`, if the
/// environment says `YUANTUS_CRASH_AT=name` or `name:n`.
#[macro_export]
macro_rules! crashpoint {
    ($name:expr) => {
        if cfg!(debug_assertions) {
            $crate::crashpoint::hit(AsRef::<str>::as_ref(&$name));
        }
    };
}

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

static TARGET: OnceLock<Option<(String, u64)>> = OnceLock::new();
static HITS: AtomicU64 = AtomicU64::new(0);

#[expect(clippy::disallowed_methods, reason = "a hook of the crash tests, not configuration")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn target() -> Option<&'static (String, u64)> {
    TARGET
        .get_or_init(|| {
            let text = variable("YUANTUS_CRASH_AT")?;
            let (name, nth) = text.rsplit_once(':').unwrap_or((&text, "1"));
            Some((name.to_owned(), nth.parse().unwrap_or(1)))
        })
        .as_ref()
}

/// What the macro calls.
pub fn hit(name: &str) {
    let Some((at, nth)) = target() else { return };
    if at == name && HITS.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::thread::park();
    }
}

/// Whether tests ask for every step to be run twice before it is recorded.
pub(crate) fn repeats_steps() -> bool {
    static REPEATS: OnceLock<bool> = OnceLock::new();
    cfg!(debug_assertions)
        && *REPEATS.get_or_init(|| variable("YUANTUS_REPEAT_STEPS").is_some_and(|v| v == "1"))
}
