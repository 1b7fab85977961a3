//! The handle's side of deliveries.

use qd_types::{DeliveryId, TenantId};

use super::Store;
use crate::observe::Op;
use crate::{
    Delivery, DeliveryPage, DeliveryQuery, EndpointState, Error, Settlement, TakeDeliveries, TakenDeliveries,
};

impl Store {
    /// See [`crate::Outbox::post_delivery`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn post_delivery(&self, delivery: Delivery) -> Result<(), Error> {
        self.observer.call(Op::PostDelivery, self.backend.post_delivery(delivery)).await
    }

    /// See [`crate::Outbox::take_deliveries`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn take_deliveries(&self, ask: TakeDeliveries) -> Result<TakenDeliveries, Error> {
        self.observer.call(Op::TakeDeliveries, self.backend.take_deliveries(ask)).await
    }

    /// See [`crate::Outbox::settle_deliveries`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn settle_deliveries(&self, settlements: Vec<Settlement>) -> Result<(), Error> {
        self.observer.call(Op::SettleDeliveries, self.backend.settle_deliveries(settlements)).await
    }

    /// See [`crate::Outbox::resend`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn resend(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Option<Delivery>, Error> {
        self.observer.call(Op::Resend, self.backend.resend(tenant, delivery)).await
    }

    /// See [`crate::Outbox::delivery`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn delivery(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Option<Delivery>, Error> {
        self.observer.call(Op::Delivery, self.backend.delivery(tenant, delivery)).await
    }

    /// See [`crate::Outbox::deliveries`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn deliveries(&self, tenant: &TenantId, query: DeliveryQuery) -> Result<DeliveryPage, Error> {
        self.observer.call(Op::Deliveries, self.backend.deliveries(tenant, query)).await
    }

    /// See [`crate::Outbox::endpoints`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn endpoints(&self, tenant: &TenantId) -> Result<Vec<EndpointState>, Error> {
        self.observer.call(Op::Endpoints, self.backend.endpoints(tenant)).await
    }

    /// See [`crate::Outbox::set_endpoint`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn set_endpoint(&self, tenant: &TenantId, state: EndpointState) -> Result<(), Error> {
        self.observer.call(Op::SetEndpoint, self.backend.set_endpoint(tenant, state)).await
    }

    /// Waits for a hint that deliveries were written or come due at another time.
    pub async fn deliveries_changed(&self) {
        self.live.deliveries_changed().await;
    }
}
