//! G.711: eight bits a sample, in two laws.

/// How a sample is squeezed into eight bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Law {
    /// µ-law: America, Japan.
    Mu,
    /// A-law: elsewhere.
    A,
}

const MU: [i16; 256] = table(Law::Mu);
const A: [i16; 256] = table(Law::A);

impl Law {
    /// The sample, of 16 bits.
    pub(super) fn expand(self, code: u8) -> i16 {
        match self {
            Self::Mu => MU[usize::from(code)],
            Self::A => A[usize::from(code)],
        }
    }

    /// The nearest code of a sample of 16 bits.
    pub(super) fn compress(self, sample: i16) -> u8 {
        match self {
            Self::Mu => compress_mu(sample),
            Self::A => compress_a(sample),
        }
    }
}

const fn table(law: Law) -> [i16; 256] {
    let mut samples = [0; 256];
    let mut code = 0;
    while code < 256 {
        samples[code] = match law {
            Law::Mu => expand_mu(code as u8),
            Law::A => expand_a(code as u8),
        };
        code += 1;
    }
    samples
}

/// What is added in µ-law so that every segment begins at a power of two.
const BIAS: i16 = 0x84;

const fn expand_mu(code: u8) -> i16 {
    let code = !code;
    let size = ((((code & 0x0f) as i16) << 3) + BIAS) << (code >> 4 & 0x07);
    if code & 0x80 == 0 {
        size - BIAS
    } else {
        BIAS - size
    }
}

const fn expand_a(code: u8) -> i16 {
    let code = code ^ 0x55;
    let segment = code >> 4 & 0x07;
    let step = ((code & 0x0f) as i16) << 4;
    let size = match segment {
        0 => step + 8,
        _ => (step + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 { -size } else { size }
}

fn compress_mu(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    // The largest that has a code.
    let size = sample.unsigned_abs().min(32_635) + BIAS.unsigned_abs();
    // The bias sets bit 7 at least.
    let segment = 8 - size.leading_zeros();
    let step = size >> (segment + 3) & 0x0f;
    !(sign | (segment as u8) << 4 | step as u8)
}

fn compress_a(sample: i16) -> u8 {
    let (sign, size) = match sample {
        0.. => (0x80, sample.unsigned_abs()),
        _ => (0, !sample as u16),
    };
    let size = size >> 4;
    let segment = 12_u32.saturating_sub(size.leading_zeros());
    let step = size >> segment.saturating_sub(1) & 0x0f;
    (sign | (segment as u8) << 4 | step as u8) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_comes_back_from_its_sample() {
        for law in [Law::Mu, Law::A] {
            for code in 0..=u8::MAX {
                let sample = law.expand(code);
                // µ-law has two codes for zero.
                let again = law.compress(sample);
                assert_eq!(law.expand(again), sample, "{law:?} {code:#04x}");
                assert!(again == code || sample == 0);
            }
        }
    }

    #[test]
    fn a_sample_is_off_by_half_a_step_at_most() {
        for law in [Law::Mu, Law::A] {
            for sample in i16::MIN..=i16::MAX {
                let off = (i32::from(law.expand(law.compress(sample))) - i32::from(sample)).abs();
                // A step is a sixteenth of the segment that it is in.
                let size = i32::from(sample).abs() + 288;
                assert!(off * 32 <= size, "{law:?} {sample} {off}");
            }
        }
    }

    #[test]
    fn known_codes() {
        assert_eq!((Law::Mu.expand(0xff), Law::Mu.expand(0x00)), (0, -32_124));
        assert_eq!((Law::A.expand(0xd5), Law::A.expand(0x2a)), (8, -32_256));
        assert_eq!((Law::Mu.compress(0), Law::A.compress(0)), (0xff, 0xd5));
    }
}
