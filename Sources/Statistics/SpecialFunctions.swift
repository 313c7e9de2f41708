import Glibc

/// Terms after which a series or fraction is given up; they take about √a terms.
private let termsMax = 10_000_000

/// log(1 + x) − x, without cancellation around zero.
///
/// With r = x / (2 + x) it is 2 (r³/3 + r⁵/5 + …) − x r (Abramowitz and Stegun 4.1.27).
func log1pLess(_ x: Double) -> Double {
    if abs(x) > 0.5 { return log1p(x) - x }
    let r = x / (2 + x)
    let square = r * r
    var power = r * square
    var sum = 0.0
    var divisor = 3.0
    while abs(power) > abs(sum) * 0x1p-60 {
        sum += power / divisor
        power *= square
        divisor += 2
    }
    return 2 * sum - x * r
}

/// What Stirling's formula leaves out: log Γ(z) − ((z − ½) log z − z + ½ log 2π).
///
/// From 16 on the asymptotic series (Abramowitz and Stegun 6.1.41) is exact to the last bits; below
/// the argument is raised to there, each step by (z + ½) log(1 + 1/z) − 1.
func stirlingRest(_ z: Double) -> Double {
    var z = z
    var raised = 0.0
    while z < 16 {
        // (z + ½) log(1 + h) − 1 with h = 1/z.
        let h = 1 / z
        raised += (z + 0.5) * log1pLess(h) + h / 2
        z += 1
    }
    let w = 1 / (z * z)
    let series =
        1.0 / 12 - w
        * (1.0 / 360 - w * (1.0 / 1_260 - w * (1.0 / 1_680 - w * (1.0 / 1_188 - w * 691 / 360_360))))
    return raised + series / z
}

/// log Γ(a + ½) − log Γ(a), accurate for large numbers whose own logarithms would cancel.
func logGammaHalfStep(_ a: Double) -> Double {
    log(a) / 2 + a * log1pLess(1 / (2 * a)) + stirlingRest(a + 0.5) - stirlingRest(a)
}

/// The continued fraction of the incomplete beta function over x^a y^b / B(a, b), with y = 1 − x.
///
/// The form of A. DiDonato and A. Morris, "Algorithm 708: significant digit computation of the
/// incomplete beta function ratios", 1992, loses nothing where x is next to 1 and a large, as it
/// sees how far from 1 through y.
func betaFraction(a: Double, b: Double, x: Double, y: Double) -> Double {
    let lead = a * y - b * x
    return ContinuedFraction.value(first: a / (a + 1) * (lead + 1)) { term in
        let n = Double(term)
        let place = a + 2 * n
        let square = (place - 1) * (place - 1)
        let step = n * (b - n) * x
        return (
            (a + n - 1) * (a + b + n - 1) / square * step * x,
            n + step / (place - 1) + (a + n) / (place + 1) * (lead + 1 + n * (1 + y))
        )
    }
}

/// The continued fraction of the upper incomplete gamma function over x^a e^−x, in its even part
/// (Abramowitz and Stegun 6.5.31).
func gammaFraction(a: Double, x: Double) -> Double {
    ContinuedFraction.value(first: x + 1 - a) { term in
        let m = Double(term)
        return (-m * (m - a), x + 2 * m + 1 - a)
    }
}

/// The series of the lower incomplete gamma function over x^a e^−x / Γ(a + 1).
func gammaSeries(a: Double, x: Double) -> Double {
    var sum = 1.0
    var product = 1.0
    for term in 1..<termsMax {
        product *= x / (a + Double(term))
        sum += product
        if product < sum * 0x1p-54 { break }
    }
    return sum
}

private enum ContinuedFraction {
    /// 1 / (b₀ + c₁ / (b₁ + c₂ / (b₂ + …))) by Lentz's method as modified by I. Thompson and
    /// A. Barnett, "Coulomb and Bessel functions of complex arguments and order", 1986.
    @inline(__always)
    static func value(first: Double, _ term: (Int) -> (c: Double, b: Double)) -> Double {
        let tiny = 1e-300
        var value = first == 0 ? tiny : first
        var above = value
        var below = 0.0
        for index in 1..<termsMax {
            let (c, b) = term(index)
            below = b + c * below
            if below == 0 { below = tiny }
            below = 1 / below
            above = b + c / above
            if above == 0 { above = tiny }
            let factor = above * below
            value *= factor
            if abs(factor - 1) <= 0x1p-52 { break }
        }
        return 1 / value
    }
}
