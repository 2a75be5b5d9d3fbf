//! Statements put together of parts: what belongs together is one statement,
//! and so one round trip.

use sea_orm::Value;

/// A part of a statement, with its own values: its first is `$1`.
#[derive(Debug)]
pub struct Part {
    /// SQL. No `$` stands in it but before the number of a value.
    pub sql: &'static str,
    /// Its values.
    pub values: Vec<Value>,
}

impl Part {
    /// The SQL as part of a statement that has `values` already, which get
    /// those of the part.
    pub fn onto(self, values: &mut Vec<Value>) -> String {
        let before = values.len();
        values.extend(self.values);
        let mut pieces = self.sql.split('$');
        let mut sql = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = piece.split_at(digits);
            let number: usize = number.parse().unwrap_or_default();
            sql += &format!("${}{rest}", number + before);
        }
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_after_those_before_them() {
        let mut values = vec![Value::from(1), Value::from(2)];
        let part = Part { sql: "a = $1 AND b = $12 OR c = $1", values: vec![Value::from(3)] };
        assert_eq!(part.onto(&mut values), "a = $3 AND b = $14 OR c = $3");
        assert_eq!(values.len(), 3);
    }
}
