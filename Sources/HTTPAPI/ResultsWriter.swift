import Domain
import JSON
import Projections
import Statistics

/// Writes results as JSON.
struct ResultsWriter {
    let key: ExperimentKey
    let status: ExperimentStatus?
    let asked: ResultsRequest
    let figures: ResultsFigures
    let results: ExperimentResults

    /// What the parts of the experiment with one split are called.
    private var cohortName: StaticString { key.isManaged ? "cohort" : "definition" }
    private var cohortsName: StaticString { key.isManaged ? "cohorts" : "definitions" }

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writeHead(&writer)
        writer.key("sampleRatio")
        if let ratio = results.sampleRatio {
            write(ratio.total, &writer)
        } else {
            writer.null()
        }
        writer.key("variants")
        writer.array(results.variants) { write($1, &$0) }
        writer.key(cohortsName)
        writer.array(results.cohorts) { write($1, &$0) }
        writer.key("unattributedScores")
        writer.integer(results.unattributed)
        writer.key("scores")
        writer.array(results.scores) { write($1, &$0) }
        writer.endObject()
    }

    private func writeHead(_ writer: inout JSONWriter) {
        switch key {
        case .managed(let id):
            writer.key("experiment")
            writer.string(id.text)
            writer.key("status")
            writer.string(orNull: status?.rawValue)
        case .step(let step):
            writer.key("function")
            writer.string(step.function)
            writer.key("experiment")
            writer.string(step.name)
        }
        writer.key("position")
        writer.integer(figures.position)
        writer.key("lag")
        writer.beginObject()
        writer.key("events")
        writer.integer(figures.head - figures.position)
        writer.key("seconds")
        let stale = figures.staleSince.map { max(0, Timestamp.now.microseconds - $0.microseconds) }
        writer.number(Double(stale ?? 0) / 1_000_000)
        writer.endObject()
        writer.key("aggregation")
        writer.string(asked.query.aggregation.rawValue)
        writer.key("alpha")
        writer.number(asked.options.level.alpha)
        writer.key("minimumEffect")
        writer.number(asked.options.minimumEffect)
        writer.key("lowerIsBetter")
        writer.bool(!asked.options.higherIsBetter)
        writeFilters(&writer)
        writer.key("control")
        writer.string(orNull: results.control)
    }

    /// What was left out because the client asked for less, so that a saved answer says it.
    private func writeFilters(_ writer: inout JSONWriter) {
        if let position = asked.query.asOf {
            writer.key("asOf")
            writer.integer(position)
        }
        if let from = asked.query.from {
            writer.key("from")
            writer.string(from.description)
        }
        if let to = asked.query.to {
            writer.key("to")
            writer.string(to.description)
        }
        if let cohort = asked.query.cohort {
            writer.key("only")
            writer.integer(cohort)
        }
    }

    // MARK: Units

    private func write(_ figure: SampleRatioTest.Figure, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("alert")
        writer.bool(figure.p < SampleRatioTest.alertP)
        writer.key("p")
        writer.number(figure.p)
        writer.key("chiSquare")
        writer.number(figure.statistic)
        writer.key("degreesOfFreedom")
        writer.integer(figure.degreesOfFreedom)
        writer.endObject()
    }

    private func write(_ arm: ExperimentResults.Arm, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("variant")
        writer.string(arm.variant)
        if let split = arm.split {
            writer.key("split")
            writer.number(split)
        }
        writer.key("assigned")
        writer.integer(arm.assigned)
        writer.endObject()
    }

    private func write(_ cohort: ExperimentResults.Cohort, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key(cohortName)
        writer.integer(cohort.index)
        writer.key("createdAt")
        writer.string(cohort.createdAt.description)
        writer.key("sampleRatio")
        if let figure = cohort.sampleRatio { write(figure, &writer) } else { writer.null() }
        writer.key("variants")
        writer.array(cohort.arms) { write($1, &$0) }
        writer.endObject()
    }

    // MARK: Scores

    private func write(_ score: ExperimentResults.Score, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("name")
        writer.string(score.name)
        writer.key("kind")
        writer.string(score.measure == .proportion ? "proportion" : "mean")
        writer.key("scores")
        writer.integer(score.scores)
        writer.key("unattributed")
        writer.integer(score.unattributed)
        writer.key("quantileError")
        writer.number(score.quantileError)
        writer.key("stratified")
        writer.bool(score.isStratified)
        writer.key("method")
        writer.string(method(score))
        writer.key("variants")
        writer.array(score.arms) { write($1, score.measure, &$0) }
        writer.key(cohortsName)
        writer.array(score.cohorts) { writer, cohort in
            writer.beginObject()
            writer.key(cohortName)
            writer.integer(cohort.index)
            writer.key("variants")
            writer.array(cohort.arms) { write($1, score.measure, &$0) }
            writer.endObject()
        }
        writer.endObject()
    }

    /// How variants are compared, in words.
    private func method(_ score: ExperimentResults.Score) -> String {
        score.isStratified
            ? "Compared within each \(cohortName) and combined by the \(cohortsName)' shares of units, "
                + "as their splits may differ; means and quantiles are of all units together."
            : "Compared over all units of the one \(cohortName) that has scores."
    }

    private func write(
        _ arm: ExperimentResults.ScoredArm, _ measure: Measure, _ writer: inout JSONWriter
    ) {
        let moments = arm.figures.units.moments
        let quantiles = arm.figures.units.quantiles([0, 0.25, 0.5, 0.75, 1])
        writer.beginObject()
        writer.key("variant")
        writer.string(arm.variant)
        writer.key("isControl")
        writer.bool(arm.isControl)
        writer.key("assigned")
        writer.integer(arm.assigned)
        writer.key("units")
        writer.integer(moments.count)
        writer.key("unscored")
        writer.integer(arm.unscored)
        writer.key("scores")
        writer.integer(arm.figures.scores)
        writer.key("mean")
        writer.number(orNull: moments.count > 0 ? moments.mean : nil)
        writer.key("standardDeviation")
        writer.number(orNull: moments.standardDeviation(as: measure))
        let names: [StaticString] = ["min", "lowerQuartile", "median", "upperQuartile", "max"]
        for (name, value) in zip(names, quantiles) {
            writer.key(name)
            writer.number(orNull: value)
        }
        if let comparison = arm.comparison { write(comparison, &writer) }
        writer.endObject()
    }

    private func write(
        _ comparison: ExperimentResults.ComparedScores, _ writer: inout JSONWriter
    ) {
        writer.key("verdict")
        writer.string(comparison.verdict.text)
        writer.key("evidence")
        writer.string(comparison.evidence)
        writer.key("difference")
        write(comparison.difference, &writer)
        writer.key("lift")
        write(comparison.lift, &writer)
        if !comparison.excludedCohorts.isEmpty {
            writer.key("excluded")
            writer.array(comparison.excludedCohorts) { writer, name in
                writer.integer(Int64(name) ?? 0)
            }
        }
    }

    /// Welch's test and the one that is valid at any time, of one estimate.
    private func write(
        _ tests: (welch: TestOutcome, alwaysValid: TestOutcome), _ writer: inout JSONWriter
    ) {
        writer.beginObject()
        switch tests.welch {
        case .success(let welch):
            writer.key("estimate")
            writer.number(welch.estimate)
            writer.key("standardError")
            writer.number(welch.standardError)
        case .failure(let reason):
            writer.key("estimate")
            writer.null()
            writer.key("reason")
            writer.string(reason.text)
        }
        writer.key("welch")
        write(tests.welch, &writer)
        writer.key("alwaysValid")
        write(tests.alwaysValid, &writer)
        writer.endObject()
    }

    private func write(_ outcome: TestOutcome, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("low")
        writer.number(orNull: outcome.interval?.low)
        writer.key("high")
        writer.number(orNull: outcome.interval?.high)
        writer.key("p")
        writer.number(outcome.p)
        writer.endObject()
    }
}

extension Moments {
    /// Nil where there are too few numbers.
    fileprivate func standardDeviation(as measure: Measure) -> Double? {
        switch measure {
        case .mean: standardDeviation
        case .proportion: count > 0 ? EstimatedMean(self, measure).variance.squareRoot() : nil
        }
    }
}

extension JSONWriter {
    fileprivate mutating func array<Element>(
        _ elements: [Element], _ write: (inout JSONWriter, Element) -> Void
    ) {
        beginArray()
        for element in elements { write(&self, element) }
        endArray()
    }

    fileprivate mutating func number(orNull value: Double?) {
        if let value, value.isFinite { number(value) } else { null() }
    }
}
