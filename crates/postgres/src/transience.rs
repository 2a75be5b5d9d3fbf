//! Which failures of a server pass by themselves.

/// What libpq and the server say when a connection of a child was refused or
/// cut, or the server had no room. The locale of children is C.
const CUT_OFF: &[&str] = &[
    "could not connect",
    "connection to server",
    "server closed the connection",
    "terminating connection",
    "the database system is",
    "connection refused",
    "Connection timed out",
    "Connection reset",
    "SSL SYSCALL error",
    "no connection to the server",
    "could not receive data",
    "could not send data",
    "lost synchronization",
    "too many connections",
    "too many clients",
    "remaining connection slots",
    "No space left on device",
    "out of memory",
    "deadlock detected",
    "canceling statement due to lock timeout",
    "being accessed by other users",
];

/// Whether a child that ended like this was cut off, not refused.
pub(crate) fn of_child(status: &str, stderr: &str) -> bool {
    status.contains("signal") || CUT_OFF.iter().any(|words| stderr.contains(words))
}

/// Whether a statement or a connection may succeed later.
pub(crate) fn of_answer(source: &sqlx::Error) -> bool {
    match source {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(answer) => {
            answer.message() == "tuple concurrently updated"
                || answer.code().is_some_and(|code| transient_sqlstate(&code))
        }
        _ => false,
    }
}

/// Connection exceptions, lack of resources, object in use, lock not
/// available, serialization failure, deadlock, and a server going down or up.
fn transient_sqlstate(code: &str) -> bool {
    code.starts_with("08")
        || code.starts_with("53")
        || matches!(
            code,
            "55006" | "55P03" | "40001" | "40P01" | "57P01" | "57P02" | "57P03" | "57014"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_or_busy_is_transient_and_a_wrong_statement_is_not() {
        for code in ["08006", "53300", "57P01", "57P03", "55006", "55P03", "40001", "40P01"] {
            assert!(transient_sqlstate(code), "{code}");
        }
        for code in ["42601", "3D000", "42P04", "28P01", "23505"] {
            assert!(!transient_sqlstate(code), "{code}");
        }
        let refused = sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert!(of_answer(&refused));
    }

    #[test]
    fn a_child_cut_off_by_the_server_is_transient() {
        assert!(of_child("exit status: 1", "FATAL: the database system is shutting down"));
        assert!(of_child("signal: 9 (SIGKILL)", ""));
        assert!(!of_child("exit status: 1", "ERROR: permission denied for table t"));
    }
}
