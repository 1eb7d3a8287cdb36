//! Pictures of videos, made on request and cached.

use super::record::StoredVideo;
use crate::{files, ingestion::Ffmpeg, tenants::TenantCache};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, ProfileName, Result, TenantId, VideoId};
use lru::LruCache;
use parking_lot::Mutex;
use std::{path::Path, sync::Arc};

/// The largest number of bytes of cached pictures of all tenants.
const MAX_BYTES: usize = 64 << 20;
/// The largest number of bytes of cached pictures of one tenant.
const MAX_TENANT_BYTES: usize = 8 << 20;
/// The width of a picture in pixels, unless the video's is smaller.
const WIDTH: u32 = 480;

/// A video of a profile, the digest of its content, and a time in milliseconds.
type Key = (TenantId, ProfileName, VideoId, String, u64);

/// A cache of pictures, bounded over all tenants and for each. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Thumbnails {
    cache: Arc<PictureCache>,
}

#[derive(Debug)]
pub(super) struct PictureCache {
    pictures: Mutex<LruCache<Key, Arc<[u8]>>>,
}

impl Default for PictureCache {
    fn default() -> Self {
        // Bounded by bytes.
        Self { pictures: Mutex::new(LruCache::unbounded()) }
    }
}

impl PictureCache {
    fn put(&self, key: Key, picture: &Arc<[u8]>) {
        if picture.len() > MAX_TENANT_BYTES {
            return;
        }
        let mut pictures = self.pictures.lock();
        let tenant = key.0.clone();
        pictures.put(key, Arc::clone(picture));
        let of_tenant = |pictures: &LruCache<Key, Arc<[u8]>>| -> usize {
            pictures.iter().filter(|(key, _)| key.0 == tenant).map(|(_, picture)| picture.len()).sum()
        };
        while of_tenant(&pictures) > MAX_TENANT_BYTES {
            let oldest = pictures.iter().rev().map(|(key, _)| key).find(|key| key.0 == tenant).cloned();
            match oldest {
                Some(oldest) => drop(pictures.pop(&oldest)),
                None => break,
            }
        }
        while pictures.iter().map(|(_, picture)| picture.len()).sum::<usize>() > MAX_BYTES {
            pictures.pop_lru();
        }
    }

    fn retain(&self, keep: impl Fn(&Key) -> bool) {
        let mut pictures = self.pictures.lock();
        let gone: Vec<Key> = pictures.iter().map(|(key, _)| key).filter(|key| !keep(key)).cloned().collect();
        for key in gone {
            pictures.pop(&key);
        }
    }
}

impl TenantCache for PictureCache {
    fn forget_tenant(&self, tenant: &TenantId) {
        self.retain(|key| key.0 != *tenant);
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.pictures.lock().iter().filter(|(key, _)| key.0 == *tenant).count() as u64
    }
}

impl Thumbnails {
    pub(super) fn cache(&self) -> Arc<dyn TenantCache> {
        Arc::clone(&self.cache) as Arc<dyn TenantCache>
    }

    pub(super) fn forget(&self, tenant: &TenantId, profile: &ProfileName, id: &VideoId) {
        self.cache.retain(|key| !(key.0 == *tenant && key.1 == *profile && key.2 == *id));
    }

    /// Returns the picture of a video at a time.
    pub(super) async fn get(
        &self,
        ffmpeg: &Ffmpeg,
        tenant: &TenantId,
        stored: &StoredVideo,
        seconds: f64,
    ) -> Result<Arc<[u8]>> {
        if !(seconds.is_finite() && seconds >= 0.0) {
            return Err(Error::invalid(format!("{seconds} is no time in a video; give seconds from its start")));
        }
        let video = &stored.video;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and a cast saturates"
        )]
        let milliseconds = (seconds * 1000.0) as u64;
        let digest = video.digest.clone().unwrap_or_default();
        let key = (tenant.clone(), video.profile.clone(), video.video_id.clone(), digest, milliseconds);
        if let Some(cached) = self.cache.pictures.lock().get(&key) {
            return Ok(Arc::clone(cached));
        }
        let gone = |why: &str| {
            Error::of(
                ErrorCode::FailedPrecondition,
                format!(
                    "no picture of video \"{}\" can be made: {why}; ingest the video again from a file",
                    video.video_id
                ),
            )
        };
        let source = video.source.as_deref().filter(|_| stored.stamp.is_some());
        let path = Path::new(source.ok_or_else(|| gone("it has no file"))?).to_owned();
        let (opened, size) = {
            let path = path.clone();
            let opened = crate::worker::blocking(move || files::open_regular("the video", &path)).await;
            opened.map_err(|e| gone("its file is not there").with_source(e))?
        };
        drop(opened);
        if stored.stamp.as_ref().is_some_and(|stamp| stamp.file.0 != size) {
            return Err(gone("its file has other content now"));
        }
        // The last picture begins before the end.
        let latest = video.duration.map_or(seconds, |duration| seconds.min((duration - 0.05).max(0.0)));
        let picture: Arc<[u8]> = ffmpeg.picture(&path, latest, WIDTH).await?.into();
        if picture.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("video \"{}\" has no picture at {seconds} s", video.video_id),
            ));
        }
        self.cache.put(key, &picture);
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_bounded_for_each_tenant_and_forgotten() {
        let cache = PictureCache::default();
        let key = |tenant: &str, at: u64| {
            let profile = ProfileName::parse("p").unwrap();
            (TenantId::parse(tenant).unwrap(), profile, VideoId::parse("v").unwrap(), String::new(), at)
        };
        let picture: Arc<[u8]> = vec![0u8; 1 << 20].into();
        cache.put(key("quiet", 0), &picture);
        (0..50).for_each(|at| cache.put(key("loud", at), &picture));
        let (quiet, loud) = (TenantId::parse("quiet").unwrap(), TenantId::parse("loud").unwrap());
        assert_eq!((cache.holds(&quiet), cache.holds(&loud)), (1, 8));
        cache.forget_tenant(&loud);
        assert_eq!((cache.holds(&quiet), cache.holds(&loud)), (1, 0));
    }
}
