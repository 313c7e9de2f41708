import Domain
import EventLog
import HTTPTypes
import Hummingbird
import JSON

/// Reporting outcomes, and taking them back.
extension API {
    func addScoreRoutes(to router: Router<APIContext>) {
        router.post("/v1/scores") { request, context in
            let actor = try authorize(request, .assigner)
            let body = try await request.bytes()
            let (scores, isSingle) = try Self.scores(in: body, of: request)
            return try await record(scores, isSingle: isSingle, request, actor, body: body)
        }
        router.post("/v1/scores/retractions") { request, context in
            let actor = try authorize(request, .assigner)
            return try await retract(request, actor)
        }
        router.post("/runs/:run/scores") { request, context in
            let actor = try authorize(request, .assigner)
            let body = try await request.bytes()
            let scores = try await runScores(try context.part("run"), body)
            return try await record(scores, isSingle: false, request, actor, body: body) { place in
                // This shape names the variant next to the experiment.
                place.hasSuffix("/variant") ? place.dropLast(8) + "/experiment/variant" : place
            }
        }
    }

    // MARK: Recording

    private func record(
        _ scores: [ScoreRequest], isSingle: Bool, _ request: Request, _ actor: String,
        body: [UInt8], at place: @escaping (String) -> String = { $0 }
    ) async throws -> Response {
        let context = try request.context(actor, body: body) {
            Self.recorded($0, isSingle: isSingle).bytes
        }
        // The decider knows scores, not whether a single one came in a list.
        let first = !isSingle && scores.count == 1 ? "/0" : ""
        let lead = { (pointer: String) in place(first + pointer) }
        let receipt = try await pointing(at: lead) {
            try await log.record(scores, context: context)
        }
        if let answer = receipt.replayedAnswer { return .replayed(answer, status: .created) }
        let answer = Self.recorded(receipt, isSingle: isSingle)
        if receipt.isReplay { return .replayed(answer.bytes, status: .created) }
        return Response(status: .created, json: answer)
    }

    /// One score, an array of them, or one on each line.
    private static func scores(
        in body: [UInt8], of request: Request
    ) throws -> ([ScoreRequest], isSingle: Bool) {
        if !request.hasLines, !request.hasYAMLBody, let usual = try usualScores(in: body) {
            return usual
        }
        let (values, isSingle) = try request.values(in: body)
        try HTTPProblem.refuse(count: values.count, of: "scores")
        let problems = Problems()
        let scores = values.enumerated().compactMap { index, value in
            ScoreRequest(value, isSingle ? "" : "/\(index)", problems)
        }
        guard problems.list.isEmpty, scores.count == values.count else {
            throw Refusal.invalid(problems.list)
        }
        return (scores, isSingle)
    }

    /// The scores of a body in which all are written as usual.
    private static func usualScores(
        in body: [UInt8]
    ) throws(JSONError) -> ([ScoreRequest], isSingle: Bool)? {
        try scanning(body) { scanner throws(JSONError) -> ([ScoreRequest], isSingle: Bool)? in
            guard scanner.peek() == UInt8(ascii: "[") else { return nil }
            var scores: [ScoreRequest] = []
            var isUsual = true
            try scanner.array { scanner throws(JSONError) in
                guard isUsual, scanner.peek() == UInt8(ascii: "{") else {
                    isUsual = false
                    return try scanner.skip()
                }
                if let score = try ScoreRequest(scanning: &scanner) {
                    scores.append(score)
                } else {
                    isUsual = false
                }
            }
            try scanner.end()
            guard isUsual, (1...Limits.batchLengthMax).contains(scores.count) else { return nil }
            return (scores, false)
        }
    }

    private static func recorded(_ receipt: Receipt, isSingle: Bool) -> JSONWriter {
        var writer = JSONWriter(capacity: 64 + receipt.appended.count * 256)
        writer.beginObject()
        if isSingle, let score = receipt.appended.first {
            writer.members(of: score)
        } else {
            writer.key("scores")
            writer.beginArray()
            for score in receipt.appended {
                writer.beginObject()
                writer.members(of: score)
                writer.endObject()
            }
            writer.endArray()
            writer.key("position")
            writer.integer(receipt.position)
        }
        writer.endObject()
        return writer
    }

    // MARK: The shape that names only the run

    /// Reads an array of `{"name","value","step_id"?,"experiment"?:{"id","variant"?}}` and finds out
    /// which experiments of the run are meant.
    private func runScores(_ run: String, _ body: [UInt8]) async throws -> [ScoreRequest] {
        guard let values = try JSONValue.parse(body).array,
            (1...Limits.runScoresMax).contains(values.count)
        else {
            throw HTTPProblem.malformed("Send an array of 1 to \(Limits.runScoresMax) scores.")
        }
        let head = log.view.position
        let selected = try await log.reader.selections(of: run, through: head)
            .compactMap { event -> StepKey? in
                guard case .variantSelected(let selected) = try event.decoded() else { return nil }
                return selected.step
            }
        guard !selected.isEmpty else {
            throw HTTPProblem.notFound(
                "Run \(run) has no variant of any experiment; select one with POST /v1/selections "
                    + "before it is scored.")
        }
        let problems = Problems()
        let scores = values.enumerated().compactMap { index, value in
            ScoreRequest(value, "/\(index)", problems, run: run, among: selected)
        }
        guard problems.list.isEmpty else { throw Refusal.invalid(problems.list) }
        return scores
    }

    // MARK: Retracting

    private func retract(_ request: Request, _ actor: String) async throws -> Response {
        let body = try await request.bytes()
        let problems = Problems()
        let reader = DocumentReader(try request.json(from: body), "", problems)
        reader.allow(["position", "id", "reason"])
        let position = reader.integer("position")
        let id = reader.eventID("id", of: "a score")
        let reason = reader.text("reason")
        if (position == nil) == (id == nil), problems.list.isEmpty {
            reader.problem("position", "Name the score by its position or by its id.")
        }
        guard problems.list.isEmpty else { throw Refusal.invalid(problems.list) }
        var found = position
        if let id { found = try await log.reader.position(of: id) }
        guard let found else {
            throw HTTPProblem.notFound("There is no score with the id \(id?.description ?? "").")
        }
        let answer: @Sendable (Receipt) -> [UInt8] = { Self.retracted(found, $0).bytes }
        let context = try request.context(actor, body: body, answer: answer)
        let receipt = try await log.sequencer.submit(
            .retract(RetractionRequest(position: found, reason: reason)), context)
        if let answer = receipt.replayedAnswer { return .replayed(answer) }
        return Response(bytes: answer(receipt), type: .json)
    }

    private static func retracted(_ score: Int64, _ receipt: Receipt) -> JSONWriter {
        json { writer in
            writer.key("score")
            writer.integer(score)
            writer.key("retracted")
            writer.bool(true)
            // A score that was taken back before has no event of this request.
            if let event = receipt.events.first { writer.place(of: event) }
        }
    }
}

extension ScoreRequest {
    /// Reads a score of the shape that names only the run.
    fileprivate init?(
        _ json: JSONValue, _ pointer: String, _ problems: Problems, run: String,
        among selected: [StepKey]
    ) {
        let found = problems.list.count
        let reader = DocumentReader(json, pointer, problems)
        reader.allow(["name", "value", "step_id", "experiment"])
        let name = reader.text("name", max: .max, required: true)
        if let name, let problem = scoreNameProblem(name) { reader.problem("name", problem) }
        let value = reader.scoreValue("value")
        let stepID = reader.text("step_id", max: Limits.nameBytesMax)
        let named = reader.object("experiment")
        named?.allow(["id", "variant"])
        let id = named?.text("id", max: Limits.stepNameBytesMax, required: true)
        let variant = named?.text("variant", max: Limits.stepNameBytesMax)
        guard problems.list.count == found, let name, let value else { return nil }
        let meant = id.map { id in selected.filter { $0.name.isExactly(id) } } ?? selected
        guard meant.count == 1 else {
            let known = selected.map { "\($0)" }.joined(separator: ", ")
            (named ?? reader).problem(
                id == nil ? "experiment" : "id",
                meant.isEmpty
                    ? "Run \(run) has no variant of \(id ?? ""); it has of \(known)."
                    : "Run \(run) took part in several (\(known)): name one experiment, or use "
                        + "POST /v1/scores, which also names the function.")
            return nil
        }
        self.init(unit: UnitKey(step: meant[0], run: run), name: name, value: value)
        self.variant = variant
        self.stepID = stepID
    }
}

extension JSONWriter {
    fileprivate mutating func members(of score: RecordedEvent) {
        place(of: score)
        key("variant")
        string(orNull: score.variant)
        if score.variant == nil {
            key("unattributed")
            bool(true)
        }
    }
}
