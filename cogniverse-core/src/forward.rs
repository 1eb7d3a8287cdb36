//! The calls that every wrapper of a backend forwards unchanged.

/// Implements [`cogniverse_sdk::SchemaStore`] for a wrapper with a field `inner`, by the methods of its backend.
macro_rules! forward_schema_store {
    ($wrapper:ty) => {
        #[async_trait::async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl cogniverse_sdk::SchemaStore for $wrapper {
            async fn plan(
                &self,
                request: &cogniverse_sdk::schema_store::DeployRequest,
            ) -> cogniverse_sdk::Result<cogniverse_sdk::schema_store::DeployReport> {
                self.inner.plan(request).await
            }

            async fn deploy(
                &self,
                request: cogniverse_sdk::schema_store::DeployRequest,
            ) -> cogniverse_sdk::Result<cogniverse_sdk::schema_store::DeployReport> {
                self.inner.deploy(request).await
            }

            async fn list_schemas(
                &self,
                tenant: &cogniverse_sdk::TenantId,
            ) -> cogniverse_sdk::Result<Vec<cogniverse_sdk::DeployedSchema>> {
                self.inner.list_schemas(tenant).await
            }

            async fn served(
                &self,
                schema: &cogniverse_sdk::TenantSchema,
            ) -> cogniverse_sdk::Result<cogniverse_sdk::DeployedSchema> {
                self.inner.served(schema).await
            }

            async fn drop_schema(&self, schema: &cogniverse_sdk::TenantSchema) -> cogniverse_sdk::Result<()> {
                self.inner.drop_schema(schema).await
            }

            async fn drop_empty_schema(&self, schema: &cogniverse_sdk::TenantSchema) -> cogniverse_sdk::Result<bool> {
                self.inner.drop_empty_schema(schema).await
            }

            async fn finish_drops(&self, tenant: &cogniverse_sdk::TenantId) -> cogniverse_sdk::Result<()> {
                self.inner.finish_drops(tenant).await
            }

            fn kept_after_drop(&self) -> Option<cogniverse_sdk::Retention> {
                self.inner.kept_after_drop()
            }
        }
    };
}

pub(crate) use forward_schema_store;
