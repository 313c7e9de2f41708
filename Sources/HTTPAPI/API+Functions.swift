import Domain
import EventLog
import Hummingbird
import JSON

/// Experiments that code declares, by function.
extension API {
    func addFunctionRoutes(to router: Router<APIContext>) {
        router.get("/v1/functions") { request, context in
            _ = try authorize(request, .reader)
            let (state, position) = try await state(for: request)
            let functions = state.functions
            let (page, next) = try Self.slice(of: functions, request) { $0.name }
            return try Response(
                document: listPage(page, next: next, position: position) { $0.function($1) },
                for: request)
        }
        router.get("/v1/functions/:function/experiments") { request, context in
            _ = try authorize(request, .reader)
            let function = try context.part("function")
            let (state, position) = try await state(for: request)
            let declared = state.steps.values
                .filter { $0.key.function.isExactly(function) }.sorted { $0.key < $1.key }
            guard !declared.isEmpty else {
                throw HTTPProblem.notFound(
                    "Function \(function) has no experiment; its first selection makes one.")
            }
            let (page, next) = try Self.slice(of: declared, request) { $0.key.name }
            return try Response(
                document: listPage(page, next: next, position: position) { $0.declared($1) },
                for: request)
        }
        let experiment = "/v1/functions/:function/experiments/:name"
        router.get("\(experiment)") { request, context in
            _ = try authorize(request, .reader)
            let declared = try await declared(request, context)
            var writer = JSONWriter()
            writer.declared(declared)
            return try Response(document: writer, for: request)
        }
        router.get("\(experiment)/history") { request, context in
            _ = try authorize(request, .reader)
            let step = try context.step()
            return try await history(of: [.init(stream: StreamName.step(step))], request) {
                log.view.snapshot.state.steps[step] == nil ? "There is no experiment \(step)." : nil
            }
        }
        router.get("\(experiment)/selections/:run/history") { request, context in
            _ = try authorize(request, .reader)
            let unit = UnitKey(step: try context.step(), run: try context.part("run"))
            return try await history(of: unit, request)
        }
        router.get("/v1/experiments/:id/assignments/:subject/history") { request, context in
            _ = try authorize(request, .reader)
            let id = try context.resourceID(.experiment)
            guard let unit = try await log.unit(id, try context.part("subject")) else {
                throw HTTPProblem.notFound("\(id) has nothing of this subject.")
            }
            return try await history(of: unit, request)
        }
    }

    /// The step experiment that the path names, as it was when the request asks for.
    func declared(
        _ request: Request, _ context: APIContext
    ) async throws -> DeclaredExperiment {
        let step = try context.step()
        let (state, _) = try await state(for: request)
        guard let declared = state.steps[step] else {
            throw HTTPProblem.notFound(
                "There is no experiment \(step); its first selection makes one.")
        }
        return declared
    }

    /// A unit's variant and its scores, also those that were kept before it had a variant.
    private func history(of unit: UnitKey, _ request: Request) async throws -> Response {
        guard unit.isValid else { throw HTTPProblem.notFound(subjectRule) }
        return try await history(
            of: [
                .init(stream: unit.stream), .init(stream: StreamName.unattributed(unit)),
            ], request
        ) { "\(unit.text) has no variant and no score in \(unit.experiment)." }
    }
}

/// A function with the names of its experiments.
private struct Function {
    let name: String
    var experiments: [String]
}

extension State {
    fileprivate var functions: [Function] {
        var functions: [Function] = []
        for key in steps.keys.sorted() {
            if let last = functions.last, last.name.isExactly(key.function) {
                functions[functions.count - 1].experiments.append(key.name)
            } else {
                functions.append(Function(name: key.function, experiments: [key.name]))
            }
        }
        return functions
    }
}

extension JSONWriter {
    fileprivate mutating func function(_ function: Function) {
        beginObject()
        key("function")
        string(function.name)
        key("experiments")
        beginArray()
        for name in function.experiments { string(name) }
        endArray()
        endObject()
    }

    fileprivate mutating func declared(_ declared: DeclaredExperiment) {
        beginObject()
        key("function")
        string(declared.key.function)
        key("experiment")
        string(declared.key.name)
        key("definition")
        integer(declared.number)
        key("definitions")
        integer(declared.numbers.count)
        key("strategy")
        string(declared.definition.strategy.rawValue)
        if let fixed = declared.definition.fixed {
            key("variant")
            string(fixed)
        }
        self.declared(declared.definition)
        key("createdAt")
        string(declared.createdAt.description)
        key("updatedAt")
        string(declared.updatedAt.description)
        key("position")
        integer(declared.position)
        endObject()
    }
}
