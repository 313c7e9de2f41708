/// A treatment against a control.
package struct Contrast: Sendable, ComparedArms {
    package let control: EstimatedMean
    package let treatment: EstimatedMean

    package init(control: EstimatedMean, treatment: EstimatedMean) {
        self.control = control
        self.treatment = treatment
    }

    package var comparison: Result<Comparison, NoResult> {
        StratifiedContrast([Stratum(name: "", control: control, treatment: treatment)]).comparison
    }
}

/// The part of an experiment in which the split was the same: a cohort.
package struct Stratum: Sendable, Equatable {
    package let name: String
    package let control: EstimatedMean
    package let treatment: EstimatedMean

    package init(name: String, control: EstimatedMean, treatment: EstimatedMean) {
        self.name = name
        self.control = control
        self.treatment = treatment
    }

    var units: Int { control.count + treatment.count }

    /// Whether each arm has the two units that a variance takes.
    var isComparable: Bool { min(control.count, treatment.count) >= 2 }
}

/// A treatment against a control within each stratum, combined.
///
/// Where the split changes between cohorts, so does each arm's mixture of cohorts, and the arms' plain
/// means differ even if the treatment does nothing. Here units are only compared with units of
/// their own stratum: an arm's mean is Σ w_i m_i and that mean's variance Σ w_i² s_i² / n_i.
///
/// The weights w_i = (n_a,i + n_b,i) / Σ (n_a + n_b), a stratum's share of the units in both arms,
/// make this the post-stratified estimate of the effect on the average unit that was seen (L.
/// Miratrix, J. Sekhon, B. Yu, "Adjusting treatment effect estimates by post-stratification in
/// randomized experiments", 2013). Weights by precision would give a narrower interval around the
/// effect on a population that nobody chose.
///
/// A stratum in which an arm has fewer than two units tells nothing of the difference. It is left
/// out, and the estimate is then of the effect on the remaining strata's units. With a single
/// stratum all figures are those of `Contrast`.
package struct StratifiedContrast: Sendable, ComparedArms {
    /// The strata that are compared.
    package let included: [Stratum]
    /// The names of those that are left out, as an arm has too few units in them.
    package let excluded: [String]
    package let comparison: Result<Comparison, NoResult>

    package init(_ strata: [Stratum]) {
        included = strata.filter(\.isComparable)
        excluded = strata.filter { !$0.isComparable }.map(\.name)
        comparison = Self.compare(included)
    }

    private static func compare(_ strata: [Stratum]) -> Result<Comparison, NoResult> {
        let units = strata.reduce(0) { $0 + $1.units }
        if units == 0 { return .failure(.tooFewUnits) }
        let weights = strata.map { Double($0.units) / Double(units) }
        let control = WeightedMean(strata.map(\.control), weights)
        let treatment = WeightedMean(strata.map(\.treatment), weights)
        let variance = control.variance + treatment.variance
        guard control.mean.isFinite, treatment.mean.isFinite, variance.isFinite else {
            return .failure(.outOfRange)
        }
        let components = control.components + treatment.components
        return .success(
            Comparison(
                control: Comparison.Arm(mean: control.mean, variance: control.variance),
                treatment: Comparison.Arm(mean: treatment.mean, variance: treatment.variance),
                degreesOfFreedom: degreesOfFreedom(components, of: variance), units: units))
    }

    /// (Σ V_i)² / Σ V_i² / (n_i − 1), over both arms of all strata (F. Satterthwaite, "An
    /// approximate distribution of estimates of variance components", 1946).
    private static func degreesOfFreedom(
        _ components: [WeightedMean.Component], of variance: Double
    ) -> Double {
        let inverse = components.reduce(0) { sum, component in
            let share = component.variance / variance
            return sum + share * share / Double(component.count - 1)
        }
        return 1 / inverse
    }
}

/// An arm's mean over all strata.
private struct WeightedMean {
    /// What a stratum adds to the variance.
    struct Component {
        let count: Int
        let variance: Double
    }

    let mean: Double
    let components: [Component]

    var variance: Double { components.reduce(0) { $0 + $1.variance } }

    init(_ means: [EstimatedMean], _ weights: [Double]) {
        mean = zip(means, weights).reduce(0) { $0 + $1.0.mean * $1.1 }
        components = zip(means, weights).map { mean, weight in
            Component(
                count: mean.count, variance: mean.variance / Double(mean.count) * weight * weight)
        }
    }
}
