//! `clock`: one row, the newest look at this database's clock that found it
//! right. Whatever is deleted by its age is compared with `vetted_at`, never
//! with `now()`.
//!
//! - `host_at`, `boot_id` and `uptime` are what the host of whoever looked said
//!   at `vetted_at`: its own clock, which start of it that was, and the seconds
//!   since then. Without a `boot_id` the next look is taken as it is.
//! - `doubt` says why the clock is not believed now; it is empty while it is.
//!   Until it is empty again nothing is deleted by its age.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE TABLE clock (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    vetted_at  timestamptz NOT NULL DEFAULT now(),
    host_at    timestamptz,
    boot_id    text NOT NULL DEFAULT '',
    uptime     double precision NOT NULL DEFAULT 0,
    doubt      text NOT NULL DEFAULT '',
    doubted_at timestamptz
);
INSERT INTO clock DEFAULT VALUES;
";

const DOWN: &str = "DROP TABLE clock;";

super::migration!("m20261130_000015_clock", UP, DOWN);
