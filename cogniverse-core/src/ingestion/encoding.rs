//! Encoding of batches of segments.

use super::{document::Segment, frames::Frames, pipeline::Run, telemetry};
use cogniverse_sdk::{Error, ErrorKind, Matrix, Result, SegmentContent, SegmentEncoder};
use std::{path::Path, sync::Arc};
use tracing::Instrument;

impl Run {
    /// Returns, for each segment, its vectors, `None` where there is nothing to encode, or the error.
    pub(super) async fn encode(
        &self,
        segments: &[Segment],
        pictures: Option<(&Frames, &Path)>,
    ) -> Vec<Result<Option<Matrix<f32>>>> {
        let mut made: Vec<Result<Option<Matrix<f32>>>> = segments.iter().map(|_| Ok(None)).collect();
        let Some(encoder) = &self.encoder else { return made };
        let (mut places, mut contents) = (Vec::new(), Vec::new());
        for (place, segment) in segments.iter().enumerate() {
            let mut content =
                SegmentContent::from_text(segment.text()).with_segment(segment.video_id.clone(), segment.segment_id);
            if let Some((frames, video)) = pictures {
                match frames.of(&self.ingestor.ffmpeg, video, place, &segment.range).await {
                    Ok(pictures) => content = content.with_frames(pictures),
                    Err(error) => {
                        set(&mut made, place, Err(error));
                        continue;
                    }
                }
            }
            if segment.vectors.is_none() && !(content.text.is_empty() && content.frames.is_empty()) {
                places.push(place);
                contents.push(content);
            }
        }
        if contents.is_empty() {
            return made;
        }
        match self.encode_checked(encoder, &contents).await {
            Ok(rows) => places.into_iter().zip(rows).for_each(|(place, rows)| set(&mut made, place, Ok(Some(rows)))),
            // One bad segment must not cost the others their vectors. A server that fails may fail for one of them: where one of
            // two alone is encoded, it is there.
            Err(error) => {
                let mut goes_on = error.kind() == ErrorKind::InvalidInput;
                let mut alone = places.into_iter().zip(&contents).enumerate();
                let tried = if contents.len() > 1 { usize::MAX } else { 0 };
                for (number, (place, content)) in alone.by_ref().take(tried) {
                    let one = self.encode_checked(encoder, std::slice::from_ref(content)).await;
                    goes_on |= one.is_ok();
                    set(&mut made, place, one.map(|rows| rows.into_iter().next()));
                    if number > 0 && !goes_on {
                        break;
                    }
                }
                let (code, reason) = (error.code(), error.chain());
                for (_, (place, _)) in alone {
                    set(&mut made, place, Err(Error::of(code, format!("the encoder failed: {reason}"))));
                }
            }
        }
        made
    }

    async fn encode_checked(
        &self,
        encoder: &Arc<dyn SegmentEncoder>,
        contents: &[SegmentContent],
    ) -> Result<Vec<Matrix<f32>>> {
        let span = telemetry::encode(self.target.tenant(), &encoder.info().model, contents.len());
        let encoded = encoder.encode_segments(contents).instrument(span.clone()).await;
        let rows = encoded.inspect_err(|error| span.in_scope(|| telemetry::failed(error)))?;
        if rows.len() == contents.len() {
            return Ok(rows);
        }
        Err(Error::unexpected(format!(
            "encoder {} was given {} segments and answered {}",
            encoder.info().model,
            contents.len(),
            rows.len()
        )))
    }
}

fn set<T>(list: &mut [T], place: usize, value: T) {
    if let Some(slot) = list.get_mut(place) {
        *slot = value;
    }
}
