//! Risk: what about an endpoint somebody should change, and how urgent that is.
//!
//! In: what the inventory knows of endpoints, and what detectors concluded. Out: posture findings ([`posture`]), a score
//! from 0 to 100 per endpoint with every factor shown ([`score`]), and all of it together ([`assess`] once, or again and
//! again with an [`Assessor`]). Judges passively: nothing is sent to anybody. Refuses to hold values: findings carry
//! counts, names and places.

mod assess;
mod assessor;
pub mod posture;
pub mod score;
mod weights;

pub use assess::{Assessment, Criteria, assess};
pub use assessor::{Assessed, Assessor, EndpointKey};
pub use posture::Posture;
pub(crate) use posture::finding_id;
pub use score::{Factor, RiskView};
pub use weights::{Risk, Weights};
