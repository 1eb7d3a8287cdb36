//! Query encoders by name, and the cache of their vectors.

use crate::tenant_lru::TenantLru;
use cogniverse_core::tenants::TenantCache;
use cogniverse_sdk::{EncoderInfo, Error, ErrorCode, Matrix, QueryEncoder, Result, TenantId};
use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

/// The number of queries whose vectors are cached, over all tenants.
const CACHED_QUERIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// The cache key beside the tenant: the encoder's whole description, as one model may serve both single-vector and
/// multi-vector encoders, and the text.
type Key = (EncoderInfo, String);

/// The registered query encoders.
#[derive(Debug)]
pub(crate) struct QueryEncoders {
    by_name: BTreeMap<String, Arc<dyn QueryEncoder>>,
    cache: TenantLru<Key, Arc<Matrix<f32>>>,
}

impl QueryEncoders {
    pub(crate) fn new(by_name: BTreeMap<String, Arc<dyn QueryEncoder>>) -> Self {
        Self { by_name, cache: TenantLru::new(CACHED_QUERIES) }
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Arc<dyn QueryEncoder>> {
        self.by_name.get(name).ok_or_else(|| {
            let unknown = Error::unknown("query encoder", name, self.by_name.keys());
            let message = format!("{}; register it where the agent is built", unknown.message());
            Error::of(ErrorCode::EncoderUnknown, message)
        })
    }

    /// Returns the vectors of a query, encoded once per tenant, encoder and text.
    pub(crate) async fn encode(
        &self,
        tenant: &TenantId,
        encoder: &Arc<dyn QueryEncoder>,
        text: &str,
    ) -> Result<Arc<Matrix<f32>>> {
        let info = encoder.info();
        let key = (info.clone(), text.to_owned());
        if let Some(known) = self.cache.get(tenant, &key) {
            return Ok(known);
        }
        let rows = Arc::new(encoder.encode_query(text).await.map_err(|e| e.with_context("encoder", &info.model))?);
        if rows.width() != info.dims || rows.is_empty() {
            return Err(Error::of(
                ErrorCode::EncoderFailed,
                format!("encoder {} promised vectors of {} cells and made {}", info.model, info.dims, rows.width()),
            ));
        }
        self.cache.put(tenant, key, Arc::clone(&rows));
        Ok(rows)
    }
}

impl TenantCache for QueryEncoders {
    fn forget_tenant(&self, tenant: &TenantId) {
        self.cache.forget_tenant(tenant);
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.cache.holds(tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use cogniverse_sdk::{ErrorKind, VectorKind};

    /// An encoder that can announce one shape and return another.
    #[derive(Debug)]
    struct Fixed {
        info: EncoderInfo,
        rows: Matrix<f32>,
    }

    #[async_trait]
    impl QueryEncoder for Fixed {
        fn info(&self) -> &EncoderInfo {
            &self.info
        }

        async fn encode_query(&self, _text: &str) -> Result<Matrix<f32>> {
            Ok(self.rows.clone())
        }
    }

    fn encoder(model: &str, dims: usize, kind: VectorKind, rows: Matrix<f32>) -> Arc<dyn QueryEncoder> {
        Arc::new(Fixed { info: EncoderInfo { model: model.to_owned(), dims, kind }, rows })
    }

    fn rows(width: usize, height: usize, cell: f32) -> Matrix<f32> {
        Matrix::new(width, vec![cell; width * height]).unwrap()
    }

    fn tenant() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    #[tokio::test]
    async fn two_models_of_one_dimension_have_vectors_of_their_own() {
        let encoders = QueryEncoders::new(BTreeMap::new());
        for (model, cell) in [("first", 1.0), ("second", 2.0), ("first", 1.0)] {
            let encoder = encoder(model, 4, VectorKind::Multi, rows(4, 2, cell));
            let made = encoders.encode(&tenant(), &encoder, "words").await.unwrap();
            assert_eq!(*made, rows(4, 2, cell), "{model}");
        }
    }

    #[tokio::test]
    async fn one_model_that_makes_one_vector_and_many_has_vectors_of_both_kinds_and_widths() {
        let encoders = QueryEncoders::new(BTreeMap::new());
        let table = [(VectorKind::Single, 4, 1), (VectorKind::Multi, 4, 3), (VectorKind::Multi, 8, 3)];
        for (kind, dims, height) in table.iter().chain(&table) {
            let encoder = encoder("model", *dims, *kind, rows(*dims, *height, 1.0));
            let made = encoders.encode(&tenant(), &encoder, "words").await.unwrap();
            assert_eq!((made.width(), made.len()), (*dims, *height), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn one_tenant_is_forgotten_and_the_others_are_not() {
        let encoders = QueryEncoders::new(BTreeMap::new());
        let encoder = encoder("model", 4, VectorKind::Single, rows(4, 1, 1.0));
        let other = TenantId::parse("other").unwrap();
        for tenant in [&tenant(), &other] {
            encoders.encode(tenant, &encoder, "words").await.unwrap();
        }
        encoders.forget_tenant(&tenant());
        assert_eq!((encoders.holds(&tenant()), encoders.holds(&other)), (0, 1));
    }

    #[tokio::test]
    async fn vectors_of_another_width_than_promised_are_refused_and_not_kept() {
        let encoders = QueryEncoders::new(BTreeMap::new());
        let broken = encoder("model", 4, VectorKind::Multi, rows(8, 1, 1.0));
        let error = encoders.encode(&tenant(), &broken, "words").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
        assert!(error.to_string().contains("4 cells and made 8"), "{error}");
        let empty = encoder("model", 4, VectorKind::Multi, Matrix::new(4, Vec::new()).unwrap());
        assert_eq!(encoders.encode(&tenant(), &empty, "words").await.unwrap_err().kind(), ErrorKind::Unexpected);
        let mended = encoder("model", 4, VectorKind::Multi, rows(4, 1, 1.0));
        assert_eq!(*encoders.encode(&tenant(), &mended, "words").await.unwrap(), rows(4, 1, 1.0));
    }
}
