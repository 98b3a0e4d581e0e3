//! Pictures for those who cannot show SVG.

use resvg::{tiny_skia, usvg};

/// For screens with small pixels.
const SCALE: f32 = 2.0;

/// An SVG as a PNG on white. Texts are left out: fonts differ.
///
/// # Errors
/// A sentence, when the picture cannot be drawn.
pub(crate) fn png(svg: &str) -> Result<Vec<u8>, String> {
    let tree = usvg::Tree::from_str(svg, &usvg::Options::default()).map_err(|error| error.to_string())?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or("the picture has no size")?;
    let mut picture = tiny_skia::Pixmap::new(size.width(), size.height()).ok_or("the picture has no size")?;
    picture.fill(tiny_skia::Color::WHITE);
    resvg::render(&tree, tiny_skia::Transform::from_scale(SCALE, SCALE), &mut picture.as_mut());
    picture.encode_png().map_err(|error| error.to_string())
}
