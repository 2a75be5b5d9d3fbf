//! `CustomerService`.

use tonic::{Request, Response};
use yuantus_domain::{PageSize, Result};
use yuantus_proto::v1::{self, customer_service_server::CustomerService};
use yuantus_tenant_data::{Customer, CustomerChange, NewCustomer};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::App;

/// Serves customers.
#[derive(Clone)]
pub struct Customers(pub App);

fn shown(customer: Customer) -> v1::Customer {
    v1::Customer {
        id: customer.id.to_string(),
        name: customer.name,
        email: customer.email.unwrap_or_default(),
        phone: customer.phone.unwrap_or_default(),
        notes: customer.notes,
        created_at: convert::time(customer.created_at),
        updated_at: convert::time(customer.updated_at),
    }
}

fn parse_new(request: v1::CreateCustomerRequest) -> Result<NewCustomer> {
    NewCustomer::parse(request.name, request.email, request.phone, request.notes)
}

fn parse_change(request: v1::UpdateCustomerRequest) -> Result<CustomerChange> {
    CustomerChange::parse(request.name, request.email, request.phone, request.notes)
}

#[tonic::async_trait]
impl CustomerService for Customers {
    async fn create_customer(
        &self,
        request: Request<v1::CreateCustomerRequest>,
    ) -> Answer<v1::Customer> {
        let new = parse_new(request.into_inner()).map_err(status)?;
        let customer = self.0.create_customer(&new).await.map_err(status)?;
        Ok(Response::new(shown(customer)))
    }

    async fn get_customer(&self, request: Request<v1::GetCustomerRequest>) -> Answer<v1::Customer> {
        let id = convert::uuid("customer_id", &request.get_ref().customer_id).map_err(status)?;
        let customer = self.0.get_customer(id).await.map_err(status)?;
        Ok(Response::new(shown(customer)))
    }

    async fn list_customers(
        &self,
        request: Request<v1::ListCustomersRequest>,
    ) -> Answer<v1::ListCustomersResponse> {
        let request = request.get_ref();
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let page = self.0.list_customers(size, &request.page_token).await.map_err(status)?;
        let page = page.map(shown);
        Ok(Response::new(v1::ListCustomersResponse {
            customers: page.items,
            next_page_token: page.next,
        }))
    }

    async fn update_customer(
        &self,
        request: Request<v1::UpdateCustomerRequest>,
    ) -> Answer<v1::Customer> {
        let request = request.into_inner();
        let id = convert::uuid("customer_id", &request.customer_id).map_err(status)?;
        let change = parse_change(request).map_err(status)?;
        let customer = self.0.update_customer(id, &change).await.map_err(status)?;
        Ok(Response::new(shown(customer)))
    }

    async fn delete_customer(
        &self,
        request: Request<v1::DeleteCustomerRequest>,
    ) -> Answer<v1::DeleteCustomerResponse> {
        let id = convert::uuid("customer_id", &request.get_ref().customer_id).map_err(status)?;
        self.0.delete_customer(id).await.map_err(status)?;
        Ok(Response::new(v1::DeleteCustomerResponse {}))
    }
}
