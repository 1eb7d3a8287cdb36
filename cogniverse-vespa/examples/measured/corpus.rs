//! What the sink serves and what is fed to it: one tenant's schema, and seeded words.

use anyhow::Result;
use cogniverse_sdk::{BaseSchema, TenantId, TenantSchema};
use std::sync::Arc;

const SCHEMA: &str = include_str!("../../../cogniverse-core/schemas/video_colpali_smol500_mv_frame_schema.json");

/// The base schema, and whose it is.
pub(crate) fn schema() -> Result<(Arc<BaseSchema>, TenantSchema)> {
    let base: BaseSchema = serde_json::from_str(SCHEMA)?;
    let schema = TenantSchema::new(&TenantId::parse("acme")?, &base.name);
    Ok((Arc::new(base), schema))
}

/// `SplitMix64`.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "24 bits")]
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// A word of a vocabulary of about 20,000, the low numbers far more often (as in natural text).
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 20,000")]
    fn word(&mut self) -> String {
        format!("word{}", (20_000.0_f32.powf(self.unit())) as u32)
    }

    /// Words of about so many bytes together.
    pub(crate) fn text(&mut self, bytes: usize) -> String {
        let mut text = self.word();
        while text.len() < bytes {
            text.push(' ');
            text.push_str(&self.word());
        }
        text
    }
}
