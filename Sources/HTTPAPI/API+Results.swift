import Domain
import EventLog
import Hummingbird
import JSON
import Projections
import Statistics

/// Which variant is better, and how sure that is.
extension API {
    func addResultsRoutes(to router: Router<APIContext>) {
        router.get("/v1/experiments/:id/results") { request, context in
            _ = try authorize(request, .reader)
            let id = try context.resourceID(.experiment)
            return try await results(.managed(id), request)
        }
        router.get("/v1/functions/:function/experiments/:name/results") { request, context in
            _ = try authorize(request, .reader)
            return try await results(.step(try context.step()), request)
        }
    }

    private func results(_ key: ExperimentKey, _ request: Request) async throws -> Response {
        try request.allow(parameters: Self.resultsParameters)
        let asked = try await ResultsRequest(key, request, asOf: asOf(request))
        let (state, _) = try await state(for: request)
        guard state.has(key) else {
            throw HTTPProblem.notFound("There is no experiment \(key).")
        }
        try await waitForProjections(asked.query.asOf, request)
        guard let figures = try await results.figures(asked.query) else {
            throw HTTPProblem.unavailable(
                "not-ready", "The projections are being built", "Try again in a moment.")
        }
        let design = try asked.design(state, figures)
        var answer = ExperimentResults(figures, design, asked.options)
        if let name = asked.query.name, answer.scores.isEmpty {
            answer.scores = ExperimentResults.noScores(named: name, figures, design, asked.options)
        }
        var writer = JSONWriter(capacity: 8_192)
        ResultsWriter(
            key: key, status: state.experiments[key]?.status, asked: asked, figures: figures,
            results: answer
        ).write(to: &writer)
        var response = try Response(document: writer, for: request)
        response.headers[.ledgerPosition] = "\(figures.position)"
        return response
    }

    private static let resultsParameters = [
        "name", "from", "to", "cohort", "definition", "asOf", "aggregate", "alpha", "control",
        "minimumEffect", "lowerIsBetter", "minPosition",
    ]

    /// Lets the projections catch up with what the client may have recorded a moment ago.
    ///
    /// Without `minPosition` that is everything, and after a short while the figures are given as
    /// old as they are; with it, nothing older is given.
    private func waitForProjections(_ asOf: Int64?, _ request: Request) async throws {
        let wanted =
            try request.integer("minPosition", in: 0...Int64.max) ?? request.wantedPosition()
        let head = log.view.position
        let goal = min(wanted ?? head, asOf ?? .max)
        let patience: Duration =
            wanted == nil ? .milliseconds(Limits.freshResultsMilliseconds) : .seconds(5)
        let deadline = ContinuousClock.now + patience
        while true {
            let position = try await results.position()
            if let position, position >= goal { return }
            guard ContinuousClock.now < deadline else {
                guard wanted != nil, let position else { return }
                throw HTTPProblem.unavailable(
                    "too-early", "The figures are older than that",
                    "They go up to position \(position) and not to \(goal); try again in a moment, "
                        + "or leave minPosition out.")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

extension State {
    fileprivate func has(_ key: ExperimentKey) -> Bool {
        switch key {
        case .managed(let id): experiments[id] != nil
        case .step(let step): steps[step] != nil
        }
    }
}

extension [ResourceID: Experiment] {
    fileprivate subscript(key: ExperimentKey) -> Experiment? {
        if case .managed(let id) = key { self[id] } else { nil }
    }
}

// MARK: Asking

/// What a client wants to know, read from its parameters.
struct ResultsRequest {
    var query: ResultsQuery
    var options = ResultsOptions()
    private var control: String?

    init(_ key: ExperimentKey, _ request: Request, asOf: Int64?) throws {
        query = ResultsQuery(experiment: key)
        query.asOf = asOf
        query.name = request.parameter("name")
        query.from = try request.time("from")
        query.to = try request.time("to")
        if let from = query.from, let to = query.to, to <= from {
            throw HTTPProblem.parameter("to", "it is not later than from.")
        }
        let other = if case .managed = key { "definition" } else { "cohort" }
        if request.parameter(other) != nil {
            throw HTTPProblem.parameter(
                other, "managed experiments have cohorts, step experiments have definitions.")
        }
        query.cohort = try request.integer(
            other == "cohort" ? "definition" : "cohort", in: 1...Int64(Int32.max)
        ).map { Int($0) }
        if let text = request.parameter("aggregate") {
            guard let aggregation = ScoreAggregation(rawValue: text) else {
                let known = ScoreAggregation.allCases.map(\.rawValue).joined(separator: ", ")
                throw HTTPProblem.parameter("aggregate", "use one of \(known).")
            }
            query.aggregation = aggregation
        }
        options.aggregation = query.aggregation
        if let alpha = try request.number("alpha") {
            guard let level = SignificanceLevel(alpha) else {
                throw HTTPProblem.parameter("alpha", "it lies between 0 and 1, such as 0.05.")
            }
            options.level = level
        }
        if let effect = try request.number("minimumEffect") {
            guard effect >= 0 else {
                throw HTTPProblem.parameter("minimumEffect", "it is 0 or more, such as 0.01.")
            }
            options.minimumEffect = effect
        }
        options.higherIsBetter = try !request.flag("lowerIsBetter")
        control = request.parameter("control")
    }

    /// How the experiment was meant to be.
    func design(_ state: State, _ figures: ResultsFigures) throws -> ExperimentDesign {
        var design: ExperimentDesign
        switch query.experiment {
        case .managed(let id):
            guard let experiment = state.experiments[id] else {
                throw Refusal.unknownExperiment(id.text)
            }
            design = experiment.design
        case .step(let step):
            let declared = state.steps[step]
            // They are numbered as they were first seen; what came after the position is not known.
            let known = figures.definitions.filter { $0.number <= declared?.numbers.count ?? 0 }
            design = ExperimentDesign(known, current: declared?.definition)
        }
        if let cohort = query.cohort { design.cohorts.removeAll { $0.index != cohort } }
        if let control {
            // IDs of managed variants are the same in upper and lower case.
            let id = query.experiment.isManaged ? ResourceID(control)?.text : nil
            let known = design.variants.first { $0.isExactly(id ?? control) }
            guard let known else {
                throw HTTPProblem.parameter(
                    "control",
                    "the experiment's variants are \(design.variants.joined(separator: ", ")).")
            }
            design.control = known
        }
        return design
    }
}

extension ExperimentKey {
    var isManaged: Bool { if case .managed = self { true } else { false } }
}

extension Experiment {
    fileprivate var design: ExperimentDesign {
        let names = variants.map(\.id.text)
        return ExperimentDesign(
            variants: names,
            control: variants.first(where: \.isControl)?.id.text ?? names.likelyControl,
            cohorts: cohorts.map { cohort in
                ExperimentDesign.Cohort(
                    index: cohort.index, createdAt: cohort.createdAt,
                    splits: cohort.splits.map {
                        Weight(variant: $0.variant.text, weight: $0.split)
                    })
            })
    }
}

extension ExperimentDesign {
    /// The design of a step experiment: its definitions are its cohorts.
    fileprivate init(
        _ definitions: [(number: Int, definition: StepDefinition, createdAt: Timestamp)],
        current: StepDefinition?
    ) {
        var names = current?.variants ?? []
        for definition in definitions {
            for variant in definition.definition.variants where !names.containsExactly(variant) {
                names.append(variant)
            }
        }
        self.init(
            variants: names, control: names.likelyControl,
            cohorts: definitions.map { number, definition, createdAt in
                Cohort(
                    index: number, createdAt: createdAt,
                    // Runs with one bucket value share one draw, so a test of their split would
                    // take a busy user for a broken one.
                    splits: definition.strategy == .weighted ? definition.splits : nil)
            })
    }
}

extension [String] {
    /// Where no variant is declared to be the control: the one of that name, or the first.
    fileprivate var likelyControl: String? {
        first { $0.lowercased() == "control" } ?? first
    }
}

extension ExperimentResults {
    /// What is said of a score that no unit has.
    fileprivate static func noScores(
        named name: String, _ figures: ResultsFigures, _ design: ExperimentDesign,
        _ options: ResultsOptions
    ) -> [Score] {
        var figures = figures
        figures.scores[ExactText(name)] = [:]
        return ExperimentResults(figures, design, options).scores
    }
}

extension Request {
    fileprivate func time(_ name: String) throws -> Timestamp? {
        guard let text = parameter(name) else { return nil }
        guard let time = Timestamp(text.replacing(" ", with: "+")) else {
            throw HTTPProblem.parameter(
                name, "give an RFC 3339 time such as 2026-01-02T03:04:05Z.")
        }
        return time
    }

    fileprivate func number(_ name: String) throws -> Double? {
        guard let text = parameter(name) else { return nil }
        guard let value = Double(text), value.isFinite else {
            throw HTTPProblem.parameter(name, "give a number.")
        }
        return value
    }
}
