import Glibc

/// The standard normal distribution.
package enum Normal {
    /// The probability of a number at most this far up.
    package static func lowerTail(_ z: Double) -> Double { erfc(-z / 2.0.squareRoot()) / 2 }

    /// The number whose lower tail is `p`, in (0, 1).
    ///
    /// A rational first guess (Abramowitz and Stegun, "Handbook of Mathematical Functions",
    /// 26.2.23), then Halley's steps on the logarithm of the tail.
    package static func quantile(_ p: Double) -> Double {
        if p == 0.5 { return 0 }
        if p > 0.5 { return -quantile(1 - p) }
        let t = (-2 * log(p)).squareRoot()
        let numerator = 2.515517 + t * (0.802853 + t * 0.010328)
        let denominator = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
        var z = numerator / denominator - t
        for _ in 0..<4 {
            let tail = lowerTail(z)
            let density = exp(-z * z / 2) / (2 * Double.pi).squareRoot()
            if tail == 0 || density == 0 { break }
            // With h = log tail: h′ = density / tail and h″ = −h′ (z + h′).
            let slope = density / tail
            let step = log(tail / p) / slope
            z -= step / (1 + step * (z + slope) / 2)
        }
        return z
    }
}

/// Student's t distribution; the degrees of freedom need not be whole.
package struct StudentT: Sendable {
    package let degreesOfFreedom: Double

    package init(degreesOfFreedom: Double) {
        self.degreesOfFreedom = degreesOfFreedom
    }

    /// The probability of a number at least this far from zero, on either side.
    ///
    /// With a = df / 2 and x = df / (df + t²) it is the regularised incomplete beta function
    /// I_x(a, ½) (Abramowitz and Stegun 26.7.1), taken from the end where its fraction converges.
    package func twoSidedTail(_ t: Double) -> Double {
        let a = degreesOfFreedom / 2
        let ratio = t * t / degreesOfFreedom
        if ratio == 0 { return 1 }
        if ratio == .infinity { return 0 }
        let x = 1 / (1 + ratio)
        let y = ratio / (1 + ratio)
        // x^a y^½ / B(a, ½), with the logarithm of x free of the cancellation in 1 − y.
        let front = exp(logGammaHalfStep(a) - a * log1p(ratio)) * (y / .pi).squareRoot()
        if x < (a + 1) / (a + 2.5) {
            return min(1, front * betaFraction(a: a, b: 0.5, x: x, y: y))
        }
        return max(0, 1 - front * betaFraction(a: 0.5, b: a, x: y, y: x))
    }

    /// The positive number whose two-sided tail is `p`, in (0, 1).
    package func twoSidedQuantile(_ p: Double) -> Double {
        var low = 0.0
        var high = Double.infinity
        var t = max(-Normal.quantile(p / 2), Double.leastNormalMagnitude)
        for _ in 0..<200 {
            let tail = twoSidedTail(t)
            if tail > p { low = t } else { high = t }
            // Newton's step on the logarithms of both, in which heavy tails are straight.
            let slope = 2 * density(t) * t / tail
            var next = t * exp(log(tail / p) / slope)
            if !(low < next && next < high) {
                next = high.isFinite ? (low + high) / 2 : 2 * t
            }
            if abs(next - t) <= 2 * t.ulp { return next }
            t = next
        }
        return t
    }

    private func density(_ t: Double) -> Double {
        let a = degreesOfFreedom / 2
        let power = -(a + 0.5) * log1p(t * t / degreesOfFreedom)
        return exp(logGammaHalfStep(a) + power) / (degreesOfFreedom * .pi).squareRoot()
    }
}

/// The chi-square distribution.
package struct ChiSquare: Sendable {
    package let degreesOfFreedom: Int

    package init(degreesOfFreedom: Int) {
        self.degreesOfFreedom = degreesOfFreedom
    }

    /// The probability of a number at least this great.
    ///
    /// It is the regularised incomplete gamma function Q(df / 2, x / 2) (Abramowitz and Stegun
    /// 26.4.19): one less the series 6.5.29 below the mean, the fraction 6.5.31 above it.
    package func upperTail(_ statistic: Double) -> Double {
        let a = Double(degreesOfFreedom) / 2
        let x = statistic / 2
        if degreesOfFreedom == 0 || x <= 0 { return 1 }
        if x == .infinity { return 0 }
        // x^a e^−x / Γ(a + 1), in a form whose terms do not cancel where a and x are large.
        let front =
            exp(a * log1pLess((x - a) / a) - stirlingRest(a)) / (2 * .pi * a).squareRoot()
        if x < a + 1 { return max(0, 1 - front * gammaSeries(a: a, x: x)) }
        return min(1, front * a * gammaFraction(a: a, x: x))
    }
}
