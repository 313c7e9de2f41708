import Domain
import EventLog
import Hummingbird
import JSON

/// `PUT /v1/resources`, and reading labs, subject types and experiments.
extension API {
    func addResourceRoutes(to router: Router<APIContext>) {
        router.put("/v1/resources") { request, context in
            let actor = try authorize(request, .editor)
            return try await apply(request, actor)
        }
        for (path, kind) in [("labs", ResourceKind.lab), ("subjecttypes", .subjectType)] {
            router.get("/v1/\(path)") { request, context in
                _ = try authorize(request, .reader)
                let (state, position) = try await state(for: request)
                let (groups, next) = try Self.slice(
                    of: state.groups(kind), request, id: \.id)
                return try Response(
                    document: listPage(groups, next: next, position: position) {
                        $0.document(kind, $1)
                    }, for: request)
            }
            router.get("/v1/\(path)/:id") { request, context in
                _ = try authorize(request, .reader)
                let id = try context.resourceID(kind)
                let (state, position) = try await state(for: request)
                guard let group = state.groups(kind)[id] else {
                    throw HTTPProblem.notFound("There is no \(kind.rawValue) \(id).")
                }
                return try resource(
                    request, version: group.provenance.resourceVersion, position
                ) { $0.document(kind, group) }
            }
        }
        addExperimentRoutes(to: router)
    }

    private func addExperimentRoutes(to router: Router<APIContext>) {
        router.get("/v1/experiments") { request, context in
            _ = try authorize(request, .reader)
            let (state, position) = try await state(for: request)
            let lab = try Self.idParameter("lab", request)
            let status = try Self.statusParameter(request)
            let matching = state.experiments.filter {
                (lab == nil || $0.value.lab == lab) && (status == nil || $0.value.status == status)
            }
            let (experiments, next) = try Self.slice(of: matching, request, id: \.id)
            return try Response(
                document: listPage(experiments, next: next, position: position) { $0.document($1) },
                for: request)
        }
        router.get("/v1/experiments/:id") { request, context in
            _ = try authorize(request, .reader)
            let id = try context.resourceID(.experiment)
            let (state, position) = try await state(for: request)
            guard let experiment = state.experiments[id] else {
                throw Refusal.unknownExperiment(id.text)
            }
            return try resource(
                request, version: experiment.provenance.resourceVersion, position
            ) { $0.document(experiment) }
        }
    }

    private func resource(
        _ request: Request, version: Int64, _ position: Int64,
        _ write: (inout JSONWriter) -> Void
    ) throws -> Response {
        var writer = JSONWriter()
        write(&writer)
        var response = try Response(document: writer, for: request)
        response.headers[.eTag] = "\"\(version)\""
        response.headers[.ledgerPosition] = "\(position)"
        return response
    }

    // MARK: State now and then

    /// The state that a read is about: now, or as of a position or a time.
    func state(for request: Request) async throws -> (State, Int64) {
        guard let position = try await asOf(request) else { return log.view.snapshot }
        return (try await log.reader.state(at: position), position)
    }

    /// The position that `asOf` names; nil for now.
    func asOf(_ request: Request) async throws -> Int64? {
        guard let text = request.parameter("asOf") else { return nil }
        let head = log.view.position
        if let position = Int64(text) {
            guard (0...head).contains(position) else {
                throw HTTPProblem.parameter("asOf", "the log has positions 1 to \(head).")
            }
            return position
        }
        // A '+' in a query is often a space by the time it arrives.
        guard let time = Timestamp(text.replacing(" ", with: "+")) else {
            throw HTTPProblem.parameter(
                "asOf", "give a position or an RFC 3339 time such as 2026-01-02T03:04:05Z.")
        }
        return try await log.reader.position(at: time)
    }

    // MARK: Pages

    /// The entries after the cursor, which is the last ID of the page before.
    static func slice<Value>(
        of entries: [ResourceID: Value], _ request: Request, id: (Value) -> ResourceID
    ) throws -> (items: [Value], next: String?) {
        let limit = try request.limit()
        let cursor = try idParameter("cursor", request)
        let ids = entries.keys.filter { id in cursor.map { id > $0 } ?? true }.sorted()
        let items = ids.prefix(limit).compactMap { entries[$0] }
        return (items, ids.count > limit ? items.last.map { id($0).text } : nil)
    }

    static func idParameter(_ name: String, _ request: Request) throws -> ResourceID? {
        guard let text = request.parameter(name) else { return nil }
        guard let id = ResourceID(text) else {
            throw HTTPProblem.parameter(name, "\(ResourceID.rule).")
        }
        return id
    }

    /// The experiment that the parameters name: managed, or of a function.
    static func experimentParameter(_ request: Request) throws -> ExperimentKey? {
        guard let function = request.parameter("function") else {
            return try idParameter("experiment", request).map { .managed($0) }
        }
        guard let name = request.parameter("experiment") else {
            throw HTTPProblem.parameter("function", "name its experiment too, with experiment.")
        }
        return .step(StepKey(function: function, name: name))
    }

    /// The entries of a sorted list after the cursor, which is the last name of the page before.
    static func slice<Value>(
        of entries: [Value], _ request: Request, name: (Value) -> String
    ) throws -> (items: [Value], next: String?) {
        let limit = try request.limit()
        let cursor = request.parameter("cursor")
        let rest = entries.drop { entry in
            cursor.map { !$0.utf8.lexicographicallyPrecedes(name(entry).utf8) } ?? false
        }
        let items = Array(rest.prefix(limit))
        return (items, rest.count > limit ? items.last.map(name) : nil)
    }

    private static func statusParameter(_ request: Request) throws -> ExperimentStatus? {
        guard let text = request.parameter("status") else { return nil }
        guard let status = ExperimentStatus(rawValue: text) else {
            let known = ExperimentStatus.allCases.map(\.rawValue).joined(separator: ", ")
            throw HTTPProblem.parameter("status", "use one of \(known).")
        }
        return status
    }

    // MARK: Applying

    private func apply(_ request: Request, _ actor: String) async throws -> Response {
        try request.allow(parameters: ["dryRun", "reopen", "reason"])
        let body = try await request.bytes()
        let (documents, isList) = try Self.documents(in: body, of: request)
        let options = ApplyOptions(
            expectedResourceVersion: try request.expectedResourceVersion(),
            reopenReason: try Self.reopenReason(request))
        if options.expectedResourceVersion != nil, documents.count != 1 {
            throw HTTPProblem.parameter("If-Match", "it goes with a single document.")
        }
        let command = Command.apply(documents, options)
        let isDryRun = try request.flag("dryRun")
        // The decider knows documents, not whether a single one came in a list.
        let first = isList && documents.count == 1 ? "/0" : ""
        return try await pointing(under: first) {
            if isDryRun { return try dryRun(command) }
            return try await submit(command, request, actor, body: body)
        }
    }

    /// Sends a command to the sequencer and answers with what it recorded.
    func submit(
        _ command: Command, _ request: Request, _ actor: String, body: [UInt8]
    ) async throws -> Response {
        let context = try request.context(actor, body: body) { Self.applied($0).bytes }
        let receipt = try await log.sequencer.submit(command, context)
        if let answer = receipt.replayedAnswer { return .replayed(answer) }
        return Response(json: Self.applied(receipt))
    }

    private static func documents(
        in body: [UInt8], of request: Request
    ) throws -> ([ResourceDocument], isList: Bool) {
        let (values, isList) = try values(in: body, of: request)
        try HTTPProblem.refuse(count: values.count, of: "documents")
        var documents: [ResourceDocument] = []
        var problems: [Problem] = []
        for (index, value) in values.enumerated() {
            do throws(Refusal) {
                let pointer = isList ? "/\(index)" : ""
                documents.append(try ResourceDocument(value, pointer: pointer))
            } catch { problems += error.problems }
        }
        guard problems.isEmpty else { throw Refusal.invalid(problems) }
        return (documents, isList)
    }

    private static func values(
        in body: [UInt8], of request: Request
    ) throws -> ([JSONValue], isList: Bool) {
        if request.hasYAMLBody {
            let values = try YAML.documents(in: body)
            return (values, values.count > 1)
        }
        do throws(JSONError) {
            let value = try JSONValue.parse(body)
            return value.array.map { ($0, true) } ?? ([value], false)
        } catch {
            throw HTTPProblem.malformed(
                "The body is not valid JSON: \(error). YAML comes with Content-Type: "
                    + "\(MediaType.yaml.rawValue).")
        }
    }

    private static func reopenReason(_ request: Request) throws -> String? {
        guard try request.flag("reopen") else { return nil }
        guard let reason = request.parameter("reason"), !reason.isEmpty,
            reason.utf8.count <= Limits.textBytesMax
        else { throw HTTPProblem.parameter("reason", "a reopening needs a reason.") }
        return reason
    }

    /// Decides on a copy of the state; nothing is recorded.
    private func dryRun(_ command: Command) throws -> Response {
        let (state, position) = log.view.snapshot
        var decider = Decider(state: state, now: .now, nextPosition: position + 1)
        let decision = try decider.decide(command)
        return Response(
            json: json { writer in
                writer.key("dryRun")
                writer.bool(true)
                writer.key("position")
                writer.integer(position)
                writer.resources(decision.resources)
                writer.key("events")
                writer.beginArray()
                for decided in decision.events {
                    writer.beginObject()
                    writer.key("position")
                    writer.null()
                    writer.key("stream")
                    writer.string(decided.event.stream)
                    writer.key("type")
                    writer.string(decided.event.type)
                    writer.key("data")
                    writer.raw(decided.event.data)
                    writer.endObject()
                }
                writer.endArray()
            })
    }

    static func applied(_ receipt: Receipt) -> JSONWriter {
        json { writer in
            writer.key("dryRun")
            writer.bool(false)
            writer.key("position")
            writer.integer(receipt.position)
            writer.resources(receipt.resources)
            writer.key("events")
            writer.beginArray()
            for event in receipt.events {
                writer.beginObject()
                writer.place(of: event)
                writer.key("type")
                writer.string(event.type)
                writer.key("data")
                writer.raw(event.data)
                writer.endObject()
            }
            writer.endArray()
        }
    }
}

extension Response {
    /// The first answer to a request that came again.
    static func replayed(
        _ answer: [UInt8], status: HTTPResponse.Status = .ok
    ) -> Response {
        var response = Response(status: status, bytes: answer, type: .json)
        response.headers[.idempotencyReplayed] = "true"
        return response
    }
}

extension JSONWriter {
    fileprivate mutating func resources(_ resources: [AppliedResource]) {
        key("resources")
        beginArray()
        for resource in resources {
            beginObject()
            key("kind")
            string(resource.kind.rawValue)
            key("id")
            string(resource.id.text)
            key("action")
            string(resource.action.rawValue)
            key("resourceVersion")
            integer(resource.resourceVersion)
            endObject()
        }
        endArray()
    }

    /// The members that say where an event is.
    mutating func place(of event: RecordedEvent) {
        key("position")
        integer(event.position)
        key("id")
        string(event.id.description)
        key("stream")
        string(event.stream)
        key("version")
        integer(event.version)
    }
}
