//! The customers of the org in context.

use serde_json::{Value, json};
use uuid::Uuid;
use yuantus_auth::caller;
use yuantus_domain::{Error, OrgKey, PageSize, Result};
use yuantus_tenant_data::{Customer, CustomerChange, NewCustomer};

use super::{App, Page, audit, data::Before, org_name, page};

impl App {
    /// Records a customer.
    pub async fn create_customer(&self, new: &NewCustomer) -> Result<Customer> {
        let key = caller::org_key()?;
        let mut session = self.data_session(&key).await?;
        session.begin().await?;
        let changed = async {
            let customer = session.insert_customer(new).await.map_err(taken)?;
            self.audit_customer(&key, "customer.create", customer.id, json!({})).await?;
            Ok(customer)
        };
        let changed = changed.await;
        session.finish(changed).await
    }

    /// Reads one customer.
    pub async fn get_customer(&self, id: Uuid) -> Result<Customer> {
        let mut session = self.data_session(&caller::org_key()?).await?;
        session.customer(id).await?.ok_or_else(|| Error::not_found("customer", id))
    }

    /// Reads a page of customers, newest first.
    pub async fn list_customers(&self, size: PageSize, token: &str) -> Result<Page<Customer>> {
        let before: Option<Before> = page::cursor(token)?;
        let mut session = self.data_session(&caller::org_key()?).await?;
        let rows = session.customers(before.map(Before::pair), page::limit(size)).await?;
        Ok(Page::of(rows, size, |customer| {
            Before { created_at: customer.created_at, id: customer.id }.to_string()
        }))
    }

    /// Changes a customer.
    pub async fn update_customer(&self, id: Uuid, change: &CustomerChange) -> Result<Customer> {
        let key = caller::org_key()?;
        let mut session = self.data_session(&key).await?;
        session.begin().await?;
        let changed = async {
            let updated = session.update_customer(id, change).await.map_err(taken)?;
            let customer = updated.ok_or_else(|| Error::not_found("customer", id))?;
            let details = json!({ "fields": change.fields() });
            self.audit_customer(&key, "customer.update", id, details).await?;
            Ok(customer)
        };
        let changed = changed.await;
        session.finish(changed).await
    }

    /// Forgets a customer.
    pub async fn delete_customer(&self, id: Uuid) -> Result<()> {
        let key = caller::org_key()?;
        let mut session = self.data_session(&key).await?;
        session.begin().await?;
        let changed = async {
            if !session.delete_customer(id).await? {
                return Err(Error::not_found("customer", id));
            }
            self.audit_customer(&key, "customer.delete", id, json!({})).await
        };
        let changed = changed.await;
        session.finish(changed).await
    }

    async fn audit_customer(
        &self,
        key: &OrgKey,
        action: &'static str,
        id: Uuid,
        details: Value,
    ) -> Result<()> {
        let (tenant, org) = (key.tenant.as_str(), key.org.as_str());
        let target = format!("{}/customers/{id}", org_name(key));
        audit::record(&self.db, action, tenant, org, target, details).await
    }
}

/// The address is another customer's; whose, is in the database.
fn taken(error: yuantus_tenant_data::Error) -> Error {
    match error.unique_violation() {
        Some("customers_email_key") => Error::exists("customer", "with this email"),
        _ => error.into(),
    }
}
