//! Writes that end something in one statement, and so in one round trip.

use sea_orm::Value;

/// What a statement does once its first part has written the row `ended`: the
/// rest of `WITH ended AS (…)`. Where there is no such row it writes nothing;
/// otherwise its last part writes one row.
#[derive(Debug)]
pub struct Ending {
    /// SQL that begins with a comma, or with the main statement. Its values
    /// begin at `$5`.
    pub sql: &'static str,
    /// Its values.
    pub values: Vec<Value>,
}
