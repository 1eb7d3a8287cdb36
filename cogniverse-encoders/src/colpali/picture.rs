//! Preprocessing of pictures.

use super::files::Preprocessor;
use candle_core::{Device, Tensor};
use cogniverse_sdk::{Error, Result};
use image::{ImageReader, imageops::FilterType};
use std::io::Cursor;

/// One picture, stretched to `size` x `size`, as (1, 3, size, size). The decoder takes at most 512 MB for it.
pub(super) fn pixels(bytes: &[u8], size: usize, preprocessor: &Preprocessor) -> Result<Tensor> {
    let wrong = |e: image::ImageError| Error::invalid("a picture is no JPEG or PNG that can be read").with_source(e);
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| Error::invalid("a picture cannot be read").with_source(e))?;
    let side = u32::try_from(size).map_err(|e| Error::invalid("the model's pictures are too large").with_source(e))?;
    let picture = reader.decode().map_err(wrong)?.resize_exact(side, side, FilterType::CatmullRom).to_rgb8();
    let mut cells = Vec::with_capacity(3 * size * size);
    for channel in 0..3 {
        let mean = preprocessor.image_mean.get(channel).copied().unwrap_or(0.5);
        let std = preprocessor.image_std.get(channel).copied().unwrap_or(0.5);
        let of_channel = picture.pixels().filter_map(|pixel| pixel.0.get(channel));
        cells.extend(of_channel.map(|value| (f32::from(*value) / 255.0 - mean) / std));
    }
    Tensor::from_vec(cells, (1, 3, size, size), &Device::Cpu)
        .map_err(|e| Error::unexpected("a picture has another size than it says").with_source(e))
}
