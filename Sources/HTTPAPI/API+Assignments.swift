import Domain
import EventLog
import Hummingbird
import JSON

/// Asking for variants, and reading who has which.
extension API {
    func addAssignmentRoutes(to router: Router<APIContext>) {
        router.post("/v1/experiments/:id/assignments") { request, context in
            _ = try authorize(request, .reader)
            let id = try context.resourceID(.experiment)
            let body = try await request.bytes()
            let asked = try AssignmentRequest(body)
            try request.check(assign: asked.assign)
            if asked.assign {
                let actor = try authorize(request, .assigner)
                let context = try request.context(actor, body: body, answer: Self.answer)
                return Self.response(try await assign(id, asked.subjects, context))
            }
            let (answers, position) = try await read(asked.subjects.map { (id, $0) }, request)
            if answers.contains(where: { $0.reason == .notFound }) {
                throw Refusal.unknownExperiment(id.text)
            }
            return Response(json: Self.answer(answers), at: position)
        }
        router.post("/v1/assignments") { request, context in
            _ = try authorize(request, .reader)
            return try await assignSubject(request)
        }
        router.post("/experiment-assignments") { request, context in
            let actor = try authorize(request, .assigner)
            return try await publicAssignments(request, actor)
        }
        router.get("/v1/experiments/:id/assignments") { request, context in
            _ = try authorize(request, .reader)
            return try await list(try context.resourceID(.experiment), request)
        }
    }

    // MARK: Asking

    private func assign(
        _ id: ResourceID, _ subjects: [String], _ context: CommandContext
    ) async throws -> Receipt {
        try await log.assign(id, subjects, context: context)
    }

    /// One subject in many experiments.
    private func assignSubject(_ request: Request) async throws -> Response {
        let body = try await request.bytes()
        let problems = Problems()
        let reader = DocumentReader(try JSONValue.parse(body), "", problems)
        reader.allow(["subject", "experiments", "assign"])
        let subject = reader.text("subject", required: true)
        let names = reader.array("experiments", max: Limits.batchLengthMax, required: true)
        var ids: [ResourceID] = []
        for (index, name) in names.enumerated() {
            if let id = name.string.flatMap({ ResourceID($0) }) {
                ids.append(id)
            } else {
                problems.list.append(
                    Problem("/experiments/\(index)", "An experiment's ID: \(ResourceID.rule)."))
            }
        }
        let assign = reader.bool("assign") ?? true
        guard problems.list.isEmpty, let subject else { throw Refusal.invalid(problems.list) }
        try request.check(assign: assign)
        guard assign else {
            let (answers, position) = try await read(
                ids.map { (experiment: $0, subject: subject) }, request)
            return Response(json: Self.answer(answers, byExperiment: true), at: position)
        }
        let actor = try authorize(request, .assigner)
        let context = try request.context(actor, body: body) {
            Self.answer($0.assignments, byExperiment: true).bytes
        }
        let receipt = try await log.assign(subject, in: ids, context: context)
        if let answer = receipt.replayedAnswer { return .replayed(answer) }
        return Response(json: Self.answer(receipt.assignments, byExperiment: true))
    }

    /// `{"experiment_id","subject_ids"}` → `{"assignments":{"user_123":"CONTROL"}}`.
    private func publicAssignments(_ request: Request, _ actor: String) async throws -> Response {
        let body = try await request.bytes()
        let problems = Problems()
        let reader = DocumentReader(try JSONValue.parse(body), "", problems)
        reader.allow(["experiment_id", "subject_ids"])
        let id = reader.id("experiment_id", required: true)
        let subjects = reader.array("subject_ids", max: Limits.batchLengthMax, required: true)
        for (index, subject) in subjects.enumerated() where subject.string == nil {
            problems.list.append(
                Problem("/subject_ids/\(index)", "A subject ID is a string."))
        }
        guard problems.list.isEmpty, let id else { throw Refusal.invalid(problems.list) }
        let context = try request.context(actor, body: body) {
            Self.publicAnswer($0.assignments).bytes
        }
        let receipt = try await pointing(at: Self.publicPointer) {
            try await assign(id, subjects.compactMap(\.string), context)
        }
        if let answer = receipt.replayedAnswer { return .replayed(answer) }
        return Response(json: Self.publicAnswer(receipt.assignments))
    }

    /// Where in the public shape a fault of the ledger's own is.
    private static func publicPointer(_ pointer: String) -> String {
        pointer.replacing("/subjects/", with: "/subject_ids/", maxReplacements: 1)
    }

    private static func publicAnswer(_ answers: [AssignmentAnswer]) -> JSONWriter {
        json { writer in
            writer.key("assignments")
            writer.beginObject()
            // Subjects are the same only byte for byte, as keys are and strings are not.
            var seen: Set<UnitKey> = []
            for answer in answers
            where seen.insert(
                UnitKey(experiment: answer.experiment, subject: answer.subject)
            ).inserted {
                writer.key(answer.subject)
                writer.string(orNull: answer.variant)
            }
            writer.endObject()
        }
    }

    // MARK: Reading

    private func read(
        _ asked: [EventLog.Question], _ request: Request
    ) async throws -> (answers: [AssignmentAnswer], position: Int64) {
        if let position = try await asOf(request) {
            return (try await log.assignments(asked, asOf: position), position)
        }
        return try await log.assignments(asked)
    }

    private func list(_ id: ResourceID, _ request: Request) async throws -> Response {
        let (state, position) = try await state(for: request)
        guard let experiment = state.experiments[id] else {
            throw Refusal.unknownExperiment(id.text)
        }
        let limit = try request.limit()
        let events = try await log.reader.placements(
            of: .managed(id),
            after: request.parameter("cursor").map { StreamName.assignment(id, $0) },
            through: position, limit: limit + 1)
        let made = try events.prefix(limit).compactMap { event -> (StoredEvent, AssignmentMade)? in
            guard case .assignmentMade(let made) = try event.decoded() else { return nil }
            return (event, made)
        }
        let next = events.count > limit ? made.last?.1.subject : nil
        let opened = experiment.isSealed ? try await opened(made.map(\.1), request) : nil
        return Response(
            json: listPage(made, next: next, position: position) { writer, item in
                writer.assignment(item.1, item.0, opened)
            }, at: position)
    }

    /// Who is behind tokens, for those who may know.
    private func opened(
        _ made: [AssignmentMade], _ request: Request
    ) async throws -> [String: String]? {
        guard try role(request).allows(.editor) else { return nil }
        return try await log.openedSubjects(
            made.compactMap { made in made.sealed.map { (made.subject, $0) } })
    }

    // MARK: Answers

    private static func response(_ receipt: Receipt) -> Response {
        if let answer = receipt.replayedAnswer { return .replayed(answer) }
        return Response(json: answer(receipt.assignments))
    }

    private static let answer: @Sendable (Receipt) -> [UInt8] = { answer($0.assignments).bytes }

    private static func answer(
        _ answers: [AssignmentAnswer], byExperiment: Bool = false
    ) -> JSONWriter {
        json { writer in
            writer.key("assignments")
            writer.beginArray()
            for answer in answers {
                writer.beginObject()
                if byExperiment {
                    writer.key("experiment")
                    writer.string(answer.experiment.text)
                }
                writer.key("subject")
                writer.string(answer.subject)
                writer.key("variant")
                writer.string(orNull: answer.variant)
                writer.key("cohort")
                if let cohort = answer.cohort { writer.integer(cohort) } else { writer.null() }
                writer.key("reason")
                writer.string(answer.reason.rawValue)
                writer.key("position")
                writer.integer(answer.position)
                writer.endObject()
            }
            writer.endArray()
        }
    }
}

extension Request {
    /// Assigning happens now: a wish for another time is no part of it.
    fileprivate func check(assign: Bool) throws {
        if assign, parameter("asOf") != nil {
            throw HTTPProblem.parameter("asOf", #"it goes with "assign": false."#)
        }
    }
}

extension JSONWriter {
    /// - Parameter opened: Sealed subjects by their tokens; nil where they are not shown.
    fileprivate mutating func assignment(
        _ made: AssignmentMade, _ event: StoredEvent, _ opened: [String: String]?
    ) {
        beginObject()
        key("subject")
        string(made.subject)
        if let opened {
            key("opened")
            string(orNull: opened[made.subject])
        }
        key("variant")
        string(made.variant.text)
        key("cohort")
        integer(made.cohort)
        key("u")
        number(made.u)
        key("position")
        integer(event.position)
        key("recordedAt")
        string(event.recordedAt.description)
        endObject()
    }
}

/// The body `{"subjects":[…],"assign":true}`, read without building a tree.
private struct AssignmentRequest {
    var subjects: [String] = []
    var assign = true

    init(_ body: [UInt8]) throws {
        var request = (subjects: [String](), assign: true, hasSubjects: false)
        var unknown: String?
        try scanning(body) { scanner throws(JSONError) in
            try scanner.object { scanner, key throws(JSONError) in
                switch key {
                case "subjects":
                    request.hasSubjects = true
                    try scanner.array { scanner throws(JSONError) in
                        request.subjects.append(try scanner.string())
                    }
                case "assign": request.assign = try scanner.bool()
                default:
                    unknown = key
                    _ = try scanner.value()
                }
            }
            try scanner.end()
        }
        if let unknown {
            throw Refusal.invalid([
                Problem("/\(unknown)", "Unknown field \(unknown); known: subjects, assign.")
            ])
        }
        guard request.hasSubjects, request.subjects.count <= Limits.batchLengthMax else {
            throw Refusal.invalid([
                Problem("/subjects", "Give a list of at most \(Limits.batchLengthMax) subject IDs.")
            ])
        }
        (subjects, assign, _) = request
    }
}
