import Domain
import EventLog
import Hummingbird
import JSON

/// Variants of runs, and the tables that name them.
extension API {
    func addSelectionRoutes(to router: Router<APIContext>) {
        router.post("/v1/selections") { request, context in
            let actor = try authorize(request, .assigner)
            let body = try await request.bytes()
            let selection = try Self.selection(in: body)
            let context = try request.context(actor, body: body) {
                Self.answer($0.selection).bytes
            }
            let receipt = try await log.select(selection, context: context)
            if let answer = receipt.replayedAnswer { return Response.replayed(answer) }
            return Response(json: Self.answer(receipt.selection))
        }
        router.get("/v1/runs/:run/selections") { request, context in
            _ = try authorize(request, .reader)
            let head = try await asOf(request) ?? log.view.position
            let events = try await log.reader.selections(of: try context.part("run"), through: head)
            return Response(
                json: listPage(events, next: nil, position: head) { $0.selected($1) }, at: head)
        }
        let experiment = "/v1/functions/:function/experiments/:name"
        router.get("\(experiment)/selections") { request, context in
            _ = try authorize(request, .reader)
            return try await listSelections(try await declared(request, context).key, request)
        }
        router.get("\(experiment)/selections/:run") { request, context in
            _ = try authorize(request, .reader)
            return try await readSelection(try context.step(), try context.part("run"), request)
        }
        router.get("\(experiment)/rollout") { request, context in
            _ = try authorize(request, .reader)
            return try await listRollout(try context.step(), request)
        }
        router.put("\(experiment)/rollout") { request, context in
            let actor = try authorize(request, .editor)
            return try await rollOut(try context.step(), request, actor)
        }
    }

    // MARK: Selecting

    private static func selection(in body: [UInt8]) throws -> SelectionRequest {
        if let usual = try SelectionRequest(scanning: body) { return usual }
        return try SelectionRequest(JSONValue.parse(body))
    }

    private static func answer(_ selection: SelectionAnswer?) -> JSONWriter {
        json { writer in
            if let selection { writer.members(of: selection) }
        }
    }

    // MARK: Reading

    private func listSelections(_ step: StepKey, _ request: Request) async throws -> Response {
        let head = try await asOf(request) ?? log.view.position
        let limit = try request.limit()
        let last = request.parameter("cursor").map { StreamName.selection(step, $0) }
        let events = try await log.reader.placements(
            of: .step(step), after: last, through: head, limit: limit + 1)
        let page = events.prefix(limit)
        var next: String?
        if events.count > limit, let last = page.last,
            case .variantSelected(let selected) = try last.decoded()
        {
            next = selected.run
        }
        return Response(
            json: listPage(Array(page), next: next, position: head) { $0.selected($1) }, at: head)
    }

    private func readSelection(
        _ step: StepKey, _ run: String, _ request: Request
    ) async throws -> Response {
        let head = try await asOf(request) ?? log.view.position
        let key = UnitKey(step: step, run: run)
        let found = try await log.reader.placements([key], through: head)
        guard let placement = found[key] else {
            throw HTTPProblem.notFound("Run \(run) has no variant of \(step).")
        }
        return Response(
            json: Self.answer(SelectionAnswer(key: key, placement: placement, isMemoized: true)))
    }

    // MARK: Rollout tables

    private func listRollout(_ step: StepKey, _ request: Request) async throws -> Response {
        let head = try await asOf(request) ?? log.view.position
        let limit = try request.limit()
        let events = try await log.reader.rollout(
            of: step, after: request.parameter("cursor").map { StreamName.rollout(step, $0) },
            through: head, limit: limit + 1)
        let entries = try events.prefix(limit).compactMap { event -> RolloutItem? in
            guard case .rolloutChanged(let changed) = try event.decoded() else { return nil }
            return (event.position, changed)
        }
        let next = events.count > limit ? entries.last?.change.key : nil
        // A key that was taken out has an event, and no entry.
        let present = entries.filter { $0.change.variant != nil }
        return Response(
            json: listPage(present, next: next, position: head) { $0.entry($1) }, at: head)
    }

    fileprivate typealias RolloutItem = (position: Int64, change: RolloutChanged)

    private func rollOut(
        _ step: StepKey, _ request: Request, _ actor: String
    ) async throws -> Response {
        try request.allow(parameters: ["allowUndeclared"])
        let body = try await request.bytes()
        let (entries, places) = try Self.entries(in: body, of: request)
        let change = RolloutRequest(
            entries: entries, allowsUndeclared: try request.flag("allowUndeclared"))
        let answer: @Sendable (Receipt) -> [UInt8] = { receipt in
            Self.rolledOut(receipt, of: entries.count).bytes
        }
        let context = try request.context(actor, body: body, answer: answer)
        let receipt = try await pointing(at: places.place) {
            try await log.sequencer.submit(.rollOut(step, change), context)
        }
        if let answer = receipt.replayedAnswer { return .replayed(answer) }
        return Response(bytes: answer(receipt), type: .json)
    }

    private static func rolledOut(_ receipt: Receipt, of count: Int) -> JSONWriter {
        json { writer in
            writer.key("changed")
            writer.integer(receipt.events.count)
            writer.key("unchanged")
            writer.integer(count - receipt.events.count)
            writer.key("position")
            writer.integer(receipt.position)
        }
    }

    /// Entries are a map of keys to variants, a list of `{"key","variant"}`, or such on lines.
    private static func entries(
        in body: [UInt8], of request: Request
    ) throws -> ([RolloutRequest.Entry], RolloutPlaces) {
        var places = RolloutPlaces.list
        var values: [JSONValue] = []
        if request.hasLines {
            values = try lines(in: body)
        } else {
            let value = try request.json(from: body)
            if let members = value.object {
                places = .map(members.map(\.key))
                values = members.map { member in
                    .object([
                        .init("key", .string(member.key)), .init("variant", member.value),
                    ])
                }
            } else if let list = value.array {
                values = list
            } else {
                throw HTTPProblem.malformed(
                    #"Send {"KEY": "VARIANT", …}, or a list of {"key", "variant"}."#)
            }
        }
        let problems = Problems()
        var entries: [RolloutRequest.Entry] = []
        for (index, value) in values.enumerated() {
            let reader = DocumentReader(value, "/\(index)", problems)
            reader.allow(["key", "variant"])
            if let entry = RolloutRequest.Entry(reader) { entries.append(entry) }
        }
        guard problems.list.isEmpty else {
            throw Refusal.invalid(
                problems.list.map { Problem(places.place(of: $0.pointer), $0.detail) })
        }
        try HTTPProblem.refuse(count: entries.count, of: "entries")
        return (entries, places)
    }
}

/// Where in the body the entries of a rollout table are.
private enum RolloutPlaces: Sendable {
    case list
    case map([String])

    /// Leads a pointer such as `/3/variant` to where the client wrote that.
    func place(of pointer: String) -> String {
        guard case .map(let keys) = self,
            let index = Int(pointer.split(separator: "/").first ?? ""), keys.indices.contains(index)
        else { return pointer }
        let key = keys[index].replacing("~", with: "~0").replacing("/", with: "~1")
        return "/\(key)"
    }
}

extension APIContext {
    /// The step experiment that the path names; one that can't exist is not found.
    func step() throws -> StepKey {
        let step = StepKey(function: try part("function"), name: try part("name"))
        guard isValidStepName(step.function), isValidStepName(step.name) else {
            throw HTTPProblem.notFound(
                "The names of a function and of an experiment have \(stepNameRule).")
        }
        return step
    }
}

extension JSONWriter {
    fileprivate mutating func members(of selection: SelectionAnswer) {
        guard case .step(let step) = selection.key.experiment else { return }
        let placement = selection.placement
        key("variant")
        string(placement.variant)
        key("experimentRef")
        beginObject()
        key("experimentName")
        string(step.name)
        key("variant")
        string(placement.variant)
        endObject()
        key("memoized")
        bool(selection.isMemoized)
        key("function")
        string(step.function)
        key("experiment")
        string(step.name)
        key("run")
        string(selection.key.unit)
        key("definition")
        integer(placement.cohort)
        key("h")
        if let h = placement.u { number(h) } else { null() }
        key("nullishBucket")
        bool(placement.isNullishBucket)
        if let hash = selection.bucketHash {
            key("bucketHash")
            string(hash)
        }
        key("position")
        integer(placement.position)
    }

    /// A selection as its event has it, and where that is.
    fileprivate mutating func selected(_ event: StoredEvent) {
        beginObject()
        key("position")
        integer(event.position)
        key("at")
        string(event.recordedAt.description)
        key("selection")
        raw(event.data)
        endObject()
    }

    fileprivate mutating func entry(_ item: API.RolloutItem) {
        beginObject()
        key("key")
        string(item.change.key)
        key("variant")
        string(orNull: item.change.variant)
        key("position")
        integer(item.position)
        endObject()
    }
}
