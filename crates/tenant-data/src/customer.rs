//! The org's customers, as the built-in bundle has them.

use chrono::{DateTime, Utc};
use tokio::time::timeout;
use uuid::Uuid;
use yuantus_domain::{Error as Domain, Result as Parsed};

use crate::{Result, Session};

/// A row of `customers`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Customer {
    /// Its id.
    pub id: Uuid,
    /// The name people read.
    pub name: String,
    /// Its address, one customer an address.
    pub email: Option<String>,
    /// Its telephone number.
    pub phone: Option<String>,
    /// Free text.
    pub notes: String,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A customer to be recorded: its values obey the table's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCustomer {
    name: String,
    email: Option<String>,
    phone: Option<String>,
    notes: String,
}

/// What is to change about a customer; `None` leaves a value as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerChange {
    name: Option<String>,
    email: Option<Option<String>>,
    phone: Option<Option<String>>,
    notes: Option<String>,
}

impl NewCustomer {
    /// Takes what a client gave; empty means none.
    pub fn parse(name: String, email: String, phone: String, notes: String) -> Parsed<Self> {
        let (name, notes) = (parse_name(name)?, parse_notes(notes)?);
        Ok(Self { name, email: parse_email(email)?, phone: parse_phone(phone)?, notes })
    }
}

impl CustomerChange {
    /// Takes what a client gave; empty clears.
    pub fn parse(
        name: Option<String>,
        email: Option<String>,
        phone: Option<String>,
        notes: Option<String>,
    ) -> Parsed<Self> {
        Ok(Self {
            name: name.map(parse_name).transpose()?,
            email: email.map(parse_email).transpose()?,
            phone: phone.map(parse_phone).transpose()?,
            notes: notes.map(parse_notes).transpose()?,
        })
    }

    /// The fields that are to change.
    pub fn fields(&self) -> Vec<&'static str> {
        let fields = [
            self.name.as_ref().map(|_| "name"),
            self.email.as_ref().map(|_| "email"),
            self.phone.as_ref().map(|_| "phone"),
            self.notes.as_ref().map(|_| "notes"),
        ];
        fields.into_iter().flatten().collect()
    }
}

fn parse_name(name: String) -> Parsed<String> {
    if name.chars().count() > 200 || name.chars().any(char::is_control) {
        let rule = "must have at most 200 characters and no control ones";
        return Err(Domain::invalid("name", rule));
    }
    if name.trim().is_empty() {
        return Err(Domain::invalid("name", "must not be empty"));
    }
    Ok(name)
}

fn parse_email(email: String) -> Parsed<Option<String>> {
    let odd = |c: char| c.is_control() || c.is_whitespace();
    let whole = email
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    match email.as_str() {
        "" => Ok(None),
        _ if whole && email.chars().count() <= 254 && !email.contains(odd) => Ok(Some(email)),
        _ => Err(Domain::invalid("email", "must be an address of at most 254 characters")),
    }
}

fn parse_phone(phone: String) -> Parsed<Option<String>> {
    if phone.chars().count() > 50 || phone.chars().any(char::is_control) {
        let rule = "must have at most 50 characters and no control ones";
        return Err(Domain::invalid("phone", rule));
    }
    Ok(Some(phone).filter(|phone| !phone.is_empty()))
}

fn parse_notes(notes: String) -> Parsed<String> {
    if notes.chars().count() > 10_000 || notes.contains('\0') {
        return Err(Domain::invalid("notes", "must have at most 10000 characters and no NUL"));
    }
    Ok(notes)
}

impl Session {
    /// Records a customer.
    pub async fn insert_customer(&mut self, new: &NewCustomer) -> Result<Customer> {
        let sql = "INSERT INTO customers (name, email, phone, notes) VALUES ($1, $2, $3, $4)
            RETURNING id, name, email, phone, notes, created_at, updated_at";
        let query = sqlx::query_as(sql);
        let query = query.bind(&new.name).bind(&new.email).bind(&new.phone).bind(&new.notes);
        let (doing, limit) = ("insert customer", self.limit());
        let answer = timeout(limit, query.fetch_one(self.start(doing)?)).await;
        self.end(doing, answer)
    }

    /// One customer.
    pub async fn customer(&mut self, id: Uuid) -> Result<Option<Customer>> {
        let sql = "SELECT id, name, email, phone, notes, created_at, updated_at
            FROM customers WHERE id = $1";
        let query = sqlx::query_as(sql).bind(id);
        let (doing, limit) = ("find customer", self.limit());
        let answer = timeout(limit, query.fetch_optional(self.start(doing)?)).await;
        self.end(doing, answer)
    }

    /// At most `limit` customers that were recorded before `before`, the
    /// newest first.
    pub async fn customers(
        &mut self,
        before: Option<(DateTime<Utc>, Uuid)>,
        limit: usize,
    ) -> Result<Vec<Customer>> {
        let first = "SELECT id, name, email, phone, notes, created_at, updated_at
            FROM customers ORDER BY created_at DESC, id DESC LIMIT $1";
        let next = "SELECT id, name, email, phone, notes, created_at, updated_at
            FROM customers WHERE (created_at, id) < ($2, $3)
            ORDER BY created_at DESC, id DESC LIMIT $1";
        let query = sqlx::query_as(if before.is_some() { next } else { first });
        let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let query = match before {
            Some((created_at, id)) => query.bind(created_at).bind(id),
            None => query,
        };
        let (doing, limit) = ("list customers", self.limit());
        let answer = timeout(limit, query.fetch_all(self.start(doing)?)).await;
        self.end(doing, answer)
    }

    /// Changes a customer; `None` where there is none.
    pub async fn update_customer(
        &mut self,
        id: Uuid,
        change: &CustomerChange,
    ) -> Result<Option<Customer>> {
        let sql = "UPDATE customers SET name = coalesce($2, name), notes = coalesce($3, notes),
                email = CASE WHEN $4 THEN $5 ELSE email END,
                phone = CASE WHEN $6 THEN $7 ELSE phone END
            WHERE id = $1 RETURNING id, name, email, phone, notes, created_at, updated_at";
        let query = sqlx::query_as(sql).bind(id).bind(&change.name).bind(&change.notes);
        let query = query.bind(change.email.is_some()).bind(change.email.clone().flatten());
        let query = query.bind(change.phone.is_some()).bind(change.phone.clone().flatten());
        let (doing, limit) = ("update customer", self.limit());
        let answer = timeout(limit, query.fetch_optional(self.start(doing)?)).await;
        self.end(doing, answer)
    }

    /// Forgets a customer; whether there was one.
    pub async fn delete_customer(&mut self, id: Uuid) -> Result<bool> {
        let query = sqlx::query("DELETE FROM customers WHERE id = $1").bind(id);
        let (doing, limit) = ("delete customer", self.limit());
        let answer = timeout(limit, query.execute(self.start(doing)?)).await;
        Ok(self.end(doing, answer)?.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        assert_eq!(parse_email(String::new()).unwrap(), None);
        assert_eq!(parse_email("a@b".into()).unwrap().as_deref(), Some("a@b"));
        for odd in ["a", "@b", "a@", "a b@c", "a@b@c", "a\n@b"] {
            assert!(parse_email(odd.into()).is_err(), "{odd}");
        }
        assert!(parse_email(format!("{}@b", "x".repeat(254))).is_err());
    }

    #[test]
    fn a_change_names_its_fields() {
        let change = CustomerChange::parse(None, Some(String::new()), None, None).unwrap();
        assert_eq!(change.fields(), ["email"]);
        assert_eq!(change.email, Some(None));
    }
}
