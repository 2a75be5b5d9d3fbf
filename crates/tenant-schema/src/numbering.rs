//! From files to migrations: versions as one number each, in order, without
//! gaps or duplicates.
//!
//! Versions below [`FIRST_DATE`] count: they must be 1, 2, 3 … without a gap.
//! Greater ones are dates (`20240131…`) and may have any gaps. Where a Flyway
//! version has several parts, all versions of the bundle are written in base
//! 10,000, four digits of it: `V2` is 2 000 000 000 000, `V2.1` is
//! 2 000 100 000 000; these may have gaps too.

use std::collections::BTreeMap;

use crate::{
    Error, Migration, Result,
    file_name::{self, FileName, MAX_PARTS, Style},
    migration::checksum,
    script,
    source::Source,
};

/// The least version that is a date.
pub(crate) const FIRST_DATE: i64 = 10_000_000;

const BASE: i64 = 10_000;

struct Named {
    source: Source,
    style: Style,
    parts: Vec<i64>,
    description: String,
}

/// Makes the migrations of a bundle.
pub(crate) fn arrange(sources: Vec<Source>) -> Result<Vec<Migration>> {
    let mut checks = BTreeMap::new();
    let (mut named, mut undone) = (Vec::new(), Vec::new());
    for source in sources {
        match file_name::parse(&source.name)? {
            FileName::Migration { style, version, description } => {
                named.push(Named { source, style, parts: version, description });
            }
            FileName::Check(stem) => drop(checks.insert(stem, source)),
            FileName::Undo(version) => undone.extend(version.map(|parts| (source.name, parts))),
        }
    }
    one_style(&named)?;
    undoes_what_is_there(&named, undone)?;
    let dotted = named.iter().any(|file| file.parts.len() > 1);
    let mut migrations = Vec::new();
    for file in named {
        let check = checks.remove(file_name::stem(&file.source.name));
        migrations.push(migration(file, check, dotted)?);
    }
    if let Some((_, check)) = checks.pop_first() {
        return Err(Error::CheckWithoutMigration { file: check.name });
    }
    migrations.sort_by_key(|migration| migration.version);
    in_order(&migrations, dotted)?;
    Ok(migrations)
}

fn one_style(named: &[Named]) -> Result<()> {
    let Some(first) = named.first() else {
        return Err(Error::NoMigrations);
    };
    match named.iter().find(|file| file.style != first.style) {
        None => Ok(()),
        Some(other) => Err(Error::MixedNames {
            first: first.source.name.clone(),
            second: other.source.name.clone(),
        }),
    }
}

/// `U1__x.sql` beside `V1__x.sql` is the way back. Alone it may be another
/// tool's way forward, which nobody would run.
fn undoes_what_is_there(named: &[Named], undone: Vec<(String, Vec<i64>)>) -> Result<()> {
    let there = |parts: &Vec<i64>| {
        named.iter().any(|file| file.style == Style::Flyway && file.parts == *parts)
    };
    match undone.into_iter().find(|(_, parts)| !there(parts)) {
        None => Ok(()),
        Some((file, parts)) => {
            let version: Vec<String> = parts.iter().map(ToString::to_string).collect();
            let rule = format!("undoes `V{}__…`, which is not there", version.join("."));
            Err(Error::FileName { file, rule })
        }
    }
}

fn migration(file: Named, check: Option<Source>, dotted: bool) -> Result<Migration> {
    let name = file.source.name;
    let version = if dotted { packed(&file.parts) } else { file.parts.first().copied() };
    let version = version.filter(|version| *version > 0).ok_or_else(|| Error::FileName {
        file: name.clone(),
        rule: "must have a version of at least 1 that fits, with parts, into 64 bits".to_owned(),
    })?;
    let script = script::prepare(&name, &file.source.text)?;
    if let Some(check) = &check {
        script::prepare_check(&check.name, &check.text)?;
    }
    Ok(Migration {
        version,
        description: file.description,
        checksum: checksum(&file.source.text),
        sql: script.sql,
        no_transaction: script.no_transaction,
        check_sql: check.map(|check| check.text),
        file: name,
    })
}

fn packed(parts: &[i64]) -> Option<i64> {
    let mut packed: i64 = 0;
    for place in 0..MAX_PARTS {
        let part = parts.get(place).copied().unwrap_or(0);
        if place > 0 && part >= BASE {
            return None;
        }
        packed = packed.checked_mul(BASE)?.checked_add(part)?;
    }
    Some(packed)
}

fn in_order(migrations: &[Migration], dotted: bool) -> Result<()> {
    for pair in migrations.windows(2) {
        if pair[0].version == pair[1].version {
            return Err(Error::DuplicateVersion {
                version: pair[0].version,
                first: pair[0].file.clone(),
                second: pair[1].file.clone(),
            });
        }
    }
    let counted = migrations.iter().take_while(|m| !dotted && m.version < FIRST_DATE);
    for (expected, migration) in (1..).zip(counted) {
        if migration.version != expected {
            return Err(Error::Gap { version: expected, file: migration.file.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(names: &[&str]) -> Result<Vec<i64>> {
        let sources = names.iter().map(|name| Source::new(name, "SELECT 1;")).collect();
        Ok(arrange(sources)?.iter().map(|m| m.version).collect())
    }

    #[test]
    fn counted_versions_have_no_gap() {
        assert_eq!(
            versions(&["2_b.sql", "10_j.sql", "1_a.sql"]).unwrap_err().to_string(),
            "migration 3 is missing: the next file is 10_j.sql"
        );
        assert!(matches!(versions(&["2_b.sql"]), Err(Error::Gap { version: 1, .. })));
    }

    #[test]
    fn dates_may_have_gaps_and_come_after_counted_versions() {
        let names = ["20240131120000_a.sql", "1_a.sql", "2_b.sql", "20230101_b.sql"];
        assert_eq!(versions(&names).unwrap(), [1, 2, 20230101, 20240131120000]);
    }

    #[test]
    fn the_order_is_by_number_not_by_name() {
        let names: Vec<String> = (1..=11).map(|n| format!("V{n}__x.sql")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(versions(&names).unwrap(), (1..=11).collect::<Vec<_>>());
    }

    #[test]
    fn dotted_versions_keep_their_order() {
        let dotted = versions(&["V2__c.sql", "V1.10__b.sql", "V1.2__a.sql", "V1__0.sql"]).unwrap();
        assert_eq!(
            dotted,
            [1_0000_0000_0000, 1_0002_0000_0000, 1_0010_0000_0000, 2_0000_0000_0000]
        );
        assert!(matches!(versions(&["V1.10000__a.sql"]), Err(Error::FileName { .. })));
    }

    #[test]
    fn one_version_has_one_file() {
        for names in [
            ["1_a.sql", "0001_b.up.sql"],
            ["V1__a.sql", "V01__b.sql"],
            ["V1.0__a.sql", "V1__b.sql"],
        ] {
            assert!(matches!(versions(&names), Err(Error::DuplicateVersion { .. })), "{names:?}");
        }
    }

    #[test]
    fn two_conventions_in_one_directory_are_refused() {
        assert!(matches!(versions(&["1_a.sql", "V2__b.sql"]), Err(Error::MixedNames { .. })));
    }

    #[test]
    fn an_undo_needs_its_migration() {
        assert_eq!(versions(&["V1__a.sql", "U1__a.sql"]).unwrap(), [1]);
        let error = versions(&["V1__a.sql", "U2__b.sql"]).unwrap_err().to_string();
        assert_eq!(error, "U2__b.sql: undoes `V2__…`, which is not there");
    }

    #[test]
    fn a_check_needs_its_migration() {
        let error = versions(&["1_a.sql", "1_b.check.sql"]).unwrap_err();
        assert!(matches!(error, Error::CheckWithoutMigration { .. }), "{error}");
        assert!(matches!(versions(&["1_a.down.sql"]), Err(Error::NoMigrations)));
        assert!(matches!(versions(&["0_a.sql"]), Err(Error::FileName { .. })));
    }
}
