import Glibc

/// Two independent estimated means, side by side: all that a test needs to know.
package struct Comparison: Sendable, Equatable {
    package struct Arm: Sendable, Equatable {
        package let mean: Double
        /// Of the mean, not of the numbers.
        package let variance: Double
    }

    package let control: Arm
    package let treatment: Arm
    /// By Welch and Satterthwaite.
    package let degreesOfFreedom: Double
    /// Of both arms.
    package let units: Int

    /// The treatment less the control, or that in shares of the control's mean.
    package func estimate(_ scale: Scale) throws(NoResult) -> Double {
        let difference = treatment.mean - control.mean
        switch scale {
        case .absolute: return difference
        case .relative:
            if control.mean == 0 { throw .noBaseline }
            return difference / control.mean
        }
    }

    /// The estimate's standard error; on the relative scale by the delta method:
    /// V = s²_b / (m_a² n_b) + s²_a m_b² / (m_a⁴ n_a).
    package func standardError(_ scale: Scale) throws(NoResult) -> Double {
        switch scale {
        case .absolute: return (treatment.variance + control.variance).squareRoot()
        case .relative:
            if control.mean == 0 { throw .noBaseline }
            let ratio = treatment.mean / control.mean
            return (treatment.variance + control.variance * ratio * ratio).squareRoot()
                / abs(control.mean)
        }
    }

    /// Welch's test.
    ///
    /// The relative test has the absolute one's degrees of freedom.
    func welch(_ scale: Scale, _ level: SignificanceLevel) throws(NoResult) -> TestResult {
        let student = StudentT(degreesOfFreedom: degreesOfFreedom)
        return try result(.welch, scale, level) { z in
            (student.twoSidedQuantile(level.alpha), student.twoSidedTail(z))
        }
    }

    /// The test of an asymptotic confidence sequence (I. Waudby-Smith and others, "Time-uniform
    /// central limit theory and asymptotic confidence sequences", equations 9, 155 and 161).
    func alwaysValid(_ scale: Scale, _ level: SignificanceLevel) throws(NoResult) -> TestResult {
        let alpha = level.alpha
        let tuning =
            (-2 * log(alpha) + log(1 - 2 * log(alpha))) / Self.sequentialTuningUnits
        let n = Double(units)
        let growth = n * tuning + 1
        return try result(.alwaysValid, scale, level) { z in
            let halfWidth =
                (2 * growth / (n * tuning) * log(growth.squareRoot() / alpha)).squareRoot()
            let exponent = n * tuning * z * z / (2 * growth)
            return (halfWidth, min(1, growth.squareRoot() * exp(-exponent)))
        }
    }

    /// The number of units at which the always-valid interval is tuned to be tightest.
    package static let sequentialTuningUnits = 5_000.0

    /// Puts a result together, given the interval's half-width in standard errors and the p-value
    /// of an estimate so many standard errors from zero.
    private func result(
        _ method: TestMethod, _ scale: Scale, _ level: SignificanceLevel,
        _ test: (_ z: Double) -> (halfWidth: Double, p: Double)
    ) throws(NoResult) -> TestResult {
        let estimate = try estimate(scale)
        if control.variance == 0 || treatment.variance == 0 { throw .noVariance }
        let error = try standardError(scale)
        guard error > 0, error.isFinite, estimate.isFinite else { throw .outOfRange }
        let (halfWidth, p) = test(abs(estimate) / error)
        let interval = Interval(
            low: estimate - halfWidth * error, high: estimate + halfWidth * error)
        guard interval.low.isFinite, interval.high.isFinite, !p.isNaN else { throw .outOfRange }
        return TestResult(
            method: method, scale: scale, level: level, estimate: estimate, standardError: error,
            interval: interval, p: p)
    }
}

/// A treatment against a control, brought down to one comparison of two means.
package protocol ComparedArms {
    var comparison: Result<Comparison, NoResult> { get }
}

extension ComparedArms {
    package func welch(_ scale: Scale, _ level: SignificanceLevel = .standard) -> TestOutcome {
        comparison.flatMap { arms in
            TestOutcome { () throws(NoResult) in try arms.welch(scale, level) }
        }
    }

    package func alwaysValid(
        _ scale: Scale, _ level: SignificanceLevel = .standard
    ) -> TestOutcome {
        comparison.flatMap { arms in
            TestOutcome { () throws(NoResult) in try arms.alwaysValid(scale, level) }
        }
    }

    /// The treatment less the control, known even where no test is possible.
    package func estimate(_ scale: Scale) -> Result<Double, NoResult> {
        comparison.flatMap { arms in
            Result { () throws(NoResult) in try arms.estimate(scale) }
        }
    }
}
