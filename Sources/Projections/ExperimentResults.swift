import Domain
import Statistics

/// How an experiment was meant to be: its variants, and the split of each of its cohorts.
package struct ExperimentDesign: Sendable {
    /// A cohort of a managed experiment, a definition of a step experiment.
    package struct Cohort: Sendable {
        package var index: Int
        package var createdAt: Timestamp
        /// Shares, in any unit; nil where units are not drawn independently.
        package var splits: [Weight]?

        package init(index: Int, createdAt: Timestamp, splits: [Weight]?) {
            self.index = index
            self.createdAt = createdAt
            self.splits = splits
        }
    }

    package var variants: [String]
    /// What the others are compared with.
    package var control: String?
    package var cohorts: [Cohort]

    package init(variants: [String], control: String?, cohorts: [Cohort]) {
        self.variants = variants
        self.control = control
        self.cohorts = cohorts
    }
}

/// How figures become results.
package struct ResultsOptions: Sendable {
    package var level = SignificanceLevel.standard
    /// The smallest difference that matters, in shares of the control's mean.
    package var minimumEffect = 0.01
    package var higherIsBetter = true
    package var aggregation = ScoreAggregation.latest

    package init() {}
}

/// Which variant is better, and how sure that is.
package struct ExperimentResults: Sendable {
    /// A variant's part in a cohort.
    package struct Arm: Sendable {
        package var variant: String
        /// The share it was meant to get; nil where there is none.
        package var split: Double?
        package var assigned: Int64
    }

    package struct Cohort: Sendable {
        package var index: Int
        package var createdAt: Timestamp
        package var arms: [Arm]
        /// Nil where there is nothing to test.
        package var sampleRatio: SampleRatioTest.Figure?
    }

    /// A variant's scores of one name.
    package struct ScoredArm: Sendable {
        package var variant: String
        package var isControl: Bool
        package var assigned: Int64
        package var figures: ArmFigures
        /// Against the control; nil for the control itself.
        package var comparison: ComparedScores?

        package var unscored: Int64 { assigned - Int64(figures.units.count) }
    }

    package struct ComparedScores: Sendable {
        package var difference: (welch: TestOutcome, alwaysValid: TestOutcome)
        package var lift: (welch: TestOutcome, alwaysValid: TestOutcome)
        /// The cohorts in which an arm has too few units to be compared.
        package var excludedCohorts: [String]
        package var verdict: Verdict
        package var evidence: String
    }

    package struct ScoredCohort: Sendable {
        package var index: Int
        package var arms: [ScoredArm]
    }

    package struct Score: Sendable {
        package var name: String
        package var measure: Measure
        package var scores: Int64
        package var unattributed: Int64
        /// Whether variants are compared within each cohort, and the comparisons combined.
        package var isStratified: Bool
        package var quantileError: Double
        package var arms: [ScoredArm]
        package var cohorts: [ScoredCohort]
    }

    package var variants: [Arm] = []
    package var control: String?
    package var cohorts: [Cohort] = []
    /// Over all cohorts; nil where there is nothing to test.
    package var sampleRatio: SampleRatioTest?
    package var unattributed: Int64 = 0
    package var scores: [Score] = []
}

extension ExperimentResults {
    package init(
        _ figures: ResultsFigures, _ design: ExperimentDesign, _ options: ResultsOptions
    ) {
        let all = Assembly(figures, design, options)
        control = design.control
        variants = all.variants.map { variant in
            Arm(variant: variant, split: nil, assigned: all.assigned(variant))
        }
        cohorts = all.cohorts
        sampleRatio = all.hasSampleRatio ? all.sampleRatio : nil
        unattributed = figures.unattributed.values.reduce(0, +)
        let names = Set(figures.scores.keys).union(figures.unattributed.keys)
        scores = names.sorted { $0.text.utf8.lexicographicallyPrecedes($1.text.utf8) }
            .map { all.score($0) }
    }
}

/// What results are put together from.
private struct Assembly {
    let figures: ResultsFigures
    let design: ExperimentDesign
    let options: ResultsOptions
    /// Those declared, and behind them any that units were given all the same.
    let variants: [String]
    let cohorts: [ExperimentResults.Cohort]
    let sampleRatio: SampleRatioTest
    private let rule: VerdictRule

    init(_ figures: ResultsFigures, _ design: ExperimentDesign, _ options: ResultsOptions) {
        self.figures = figures
        self.design = design
        self.options = options
        var variants = design.variants
        let given = figures.assigned.keys.sorted {
            $0.variant.utf8.lexicographicallyPrecedes($1.variant.utf8)
        }
        for arm in given where !variants.containsExactly(arm.variant) {
            variants.append(arm.variant)
        }
        self.variants = variants
        let arms = design.cohorts.map { cohort in
            Self.arms(of: cohort, variants, figures)
        }
        sampleRatio = SampleRatioTest(
            cohorts: arms.map { arms in
                arms.map { .init(count: Int($0.assigned), split: $0.split ?? 0) }
            })
        cohorts = zip(design.cohorts, arms).enumerated().map { [sampleRatio] index, cohort in
            let figure = sampleRatio.cohorts[index]
            return ExperimentResults.Cohort(
                index: cohort.0.index, createdAt: cohort.0.createdAt, arms: cohort.1,
                sampleRatio: figure.degreesOfFreedom > 0 ? figure : nil)
        }
        rule = VerdictRule(
            level: options.level, minimumEffect: options.minimumEffect,
            higherIsBetter: options.higherIsBetter)
    }

    private static func arms(
        of cohort: ExperimentDesign.Cohort, _ variants: [String], _ figures: ResultsFigures
    ) -> [ExperimentResults.Arm] {
        let total = cohort.splits?.reduce(0) { $0 + $1.weight } ?? 0
        return variants.compactMap { variant in
            let weight = cohort.splits?.first { $0.variant.isExactly(variant) }?.weight
            let assigned =
                figures.assigned[ArmKey(cohort: cohort.index, variant: variant)] ?? 0
            // A variant that has no part in the cohort is not listed there.
            guard weight != nil || assigned > 0 || cohort.splits == nil else { return nil }
            return ExperimentResults.Arm(
                variant: variant, split: weight.map { total > 0 ? $0 / total : 0 },
                assigned: assigned)
        }
    }

    var hasSampleRatio: Bool { sampleRatio.total.degreesOfFreedom > 0 }

    func assigned(_ variant: String) -> Int64 {
        figures.assigned.reduce(0) { $0 + ($1.key.variant.isExactly(variant) ? $1.value : 0) }
    }

    // MARK: Scores

    func score(_ name: ExactText) -> ExperimentResults.Score {
        let arms = figures.scores[name] ?? [:]
        var whole: [ExactText: ArmFigures] = [:]
        for (key, figures) in arms {
            whole[ExactText(key.variant), default: ArmFigures()].merge(figures)
        }
        let scores = arms.values.reduce(0) { $0 + $1.scores }
        let booleans = arms.values.reduce(0) { $0 + $1.booleans }
        let measure: Measure =
            scores > 0 && booleans == scores && options.aggregation.keepsBooleans
            ? .proportion : .mean
        let scored = cohorts.filter { cohort in
            arms.contains { $0.key.cohort == cohort.index && $0.value.units.count > 0 }
        }
        return ExperimentResults.Score(
            name: name.text, measure: measure, scores: scores,
            unattributed: figures.unattributed[name] ?? 0, isStratified: scored.count > 1,
            quantileError: whole.values.map(\.units.quantileError).max() ?? 0,
            arms: variants.map { variant in
                ExperimentResults.ScoredArm(
                    variant: variant, isControl: isControl(variant), assigned: assigned(variant),
                    figures: whole[ExactText(variant)] ?? ArmFigures(),
                    comparison: compare(variant, scored.map(\.index), arms, measure, sampleRatio))
            },
            cohorts: scored.map { cohort in scoredCohort(cohort, arms, measure) })
    }

    private func scoredCohort(
        _ cohort: ExperimentResults.Cohort, _ arms: [ArmKey: ArmFigures], _ measure: Measure
    ) -> ExperimentResults.ScoredCohort {
        let ratio = SampleRatioTest(
            cohorts: [cohort.arms.map { .init(count: Int($0.assigned), split: $0.split ?? 0) }])
        return ExperimentResults.ScoredCohort(
            index: cohort.index,
            arms: cohort.arms.map { arm in
                ExperimentResults.ScoredArm(
                    variant: arm.variant, isControl: isControl(arm.variant),
                    assigned: arm.assigned,
                    figures: arms[ArmKey(cohort: cohort.index, variant: arm.variant)]
                        ?? ArmFigures(),
                    comparison: compare(arm.variant, [cohort.index], arms, measure, ratio))
            })
    }

    private func isControl(_ variant: String) -> Bool {
        design.control.map { $0.isExactly(variant) } ?? false
    }

    /// Compares a variant with the control within each of the cohorts.
    private func compare(
        _ variant: String, _ cohorts: [Int], _ arms: [ArmKey: ArmFigures], _ measure: Measure,
        _ sampleRatio: SampleRatioTest
    ) -> ExperimentResults.ComparedScores? {
        guard let control = design.control, !isControl(variant) else { return nil }
        func mean(_ cohort: Int, _ variant: String) -> EstimatedMean {
            let figures = arms[ArmKey(cohort: cohort, variant: variant)]
            return EstimatedMean(figures?.units.moments ?? Moments(), measure)
        }
        let contrast = StratifiedContrast(
            cohorts.map { cohort in
                Stratum(
                    name: "\(cohort)", control: mean(cohort, control),
                    treatment: mean(cohort, variant))
            })
        let (verdict, evidence) = rule.decide(contrast, sampleRatio: sampleRatio)
        return ExperimentResults.ComparedScores(
            difference: (
                contrast.welch(.absolute, options.level),
                contrast.alwaysValid(.absolute, options.level)
            ),
            lift: (
                contrast.welch(.relative, options.level),
                contrast.alwaysValid(.relative, options.level)
            ),
            excludedCohorts: contrast.excluded, verdict: verdict, evidence: evidence)
    }
}

extension ScoreAggregation {
    /// Whether booleans stay 0 or 1.
    fileprivate var keepsBooleans: Bool {
        switch self {
        case .latest, .min, .max: true
        case .sum, .count, .mean: false
        }
    }
}
