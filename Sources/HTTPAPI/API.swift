import Domain
import EventLog
import HTTPTypes
import Hummingbird
import Logging
import Projections
import Replication
import Synchronization
import Telemetry
import Webhooks

/// The ledger over HTTP: routes, and what they share.
package struct API: Sendable {
    let log: EventLog
    let results: ResultsReader
    private let dispatchers: Dispatchers
    /// Nil on a node that never signs.
    let notary: Notary?
    /// Nil where this ledger is its own.
    let follower: Follower?
    /// Nil where no other node shares the database.
    fileprivate let passingOn: PassingOn?
    let metrics: LedgerMetrics
    let logger: Logger
    /// Whether a request without a key is served.
    let servesWithoutKey: Bool

    /// - Parameter sharesDatabase: whether other nodes may lead, to which is passed on then what
    ///   only the leader can do.
    package init(
        log: EventLog, results: ResultsReader, dispatchers: Dispatchers, notary: Notary? = nil,
        metrics: LedgerMetrics, logger: Logger, servesWithoutKey: Bool,
        sharesDatabase: Bool = false,
        follower: Follower? = nil
    ) {
        self.log = log
        self.results = results
        self.dispatchers = dispatchers
        self.notary = notary
        self.follower = follower
        passingOn = sharesDatabase ? PassingOn(log: log) : nil
        self.metrics = metrics
        self.logger = logger
        self.servesWithoutKey = servesWithoutKey
    }

    /// Ends what runs besides the server, once that has stopped.
    package func stop() { passingOn?.client.stop() }

    /// Nil on a node that delivers no webhooks now.
    var dispatcher: Dispatcher? { dispatchers.current }

    /// What answers requests.
    package func responder() -> some HTTPResponder<APIContext> {
        Responder(router: router().buildResponder(), api: self)
    }

    /// All routes.
    func router() -> Router<APIContext> {
        let router = Router(context: APIContext.self, options: .autoGenerateHeadEndpoints)
        addResourceRoutes(to: router)
        addLifecycleRoutes(to: router)
        addAssignmentRoutes(to: router)
        addSubjectRoutes(to: router)
        addFlagRoutes(to: router)
        addSelectionRoutes(to: router)
        addFunctionRoutes(to: router)
        addScoreRoutes(to: router)
        addResultsRoutes(to: router)
        addEventRoutes(to: router)
        addTreeRoutes(to: router)
        addReplicationRoutes(to: router)
        addHistoryRoutes(to: router)
        addKeyRoutes(to: router)
        addWebhookRoutes(to: router)
        addOperationRoutes(to: router)
        return router
    }
}

package struct APIContext: RequestContext {
    package var coreContext: CoreRequestContextStorage

    package init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
    }

    /// Whether the router found nothing to answer; it says so in place of the route.
    fileprivate var matchedNoRoute: Bool { endpointPath == "NotFound" }

    /// The path as the log may have it: without the names of subjects.
    fileprivate func loggedPath(of request: Request) -> String {
        guard let route = endpointPath, route.contains("{subject}") || route.contains(":subject")
        else { return request.uri.path }
        return route
    }
}

/// Around every request: its ID, its time, and its error made readable.
private struct Responder<Inner: HTTPResponder>: HTTPResponder
where Inner.Context == APIContext {
    let router: Inner
    let api: API

    func respond(to request: Request, context: APIContext) async throws -> Response {
        let started = ContinuousClock.now
        var position = api.log.view.position
        let requestID = request.headers[.requestID].flatMap(Self.acceptable) ?? Self.newID()
        var response: Response
        do {
            try request.refuseNUL()
            try api.refuseDiverged(request)
            position = try await api.waitForPosition(request)
            response = try await answer(request, context, requestID)
        } catch {
            let problem = api.problem(error)
            log(problem, error, request, context, requestID)
            response = problem.response
        }
        response.headers[.requestID] = requestID
        // What a read was given is no older than what was there when it came; a write is there now.
        if response.headers[.ledgerPosition] == nil {
            let isRead = request.method == .get || request.method == .head
            response.headers[.ledgerPosition] = "\(isRead ? position : api.log.view.position)"
        }
        api.logger.debug(
            "request",
            metadata: [
                "request": "\(requestID)", "method": "\(request.method)",
                "path": "\(context.loggedPath(of: request))", "status": "\(response.status.code)",
            ])
        let route = context.matchedNoRoute ? "none" : context.endpointPath ?? "none"
        let method = request.method.rawValue
        api.metrics.requestSeconds(route: route, method: method)
            .observe(ContinuousClock.now - started)
        api.metrics.requests(route: route, method: method, status: response.status.code)
            .increment()
        return response
    }

    private func answer(
        _ request: Request, _ context: APIContext, _ requestID: String
    ) async throws -> Response {
        guard let passingOn = api.passingOn else { return try await answerHere(request, context) }
        return try await passingOn.answer(request, requestID) { try await answerHere($0, context) }
    }

    private func answerHere(_ request: Request, _ context: APIContext) async throws -> Response {
        let response = try await router.respond(to: request, context: context)
        return context.matchedNoRoute ? HTTPProblem.noRoute(request).response : response
    }

    private func log(
        _ problem: HTTPProblem, _ error: any Error, _ request: Request, _ context: APIContext,
        _ requestID: String
    ) {
        let level: Logger.Level =
            problem.status.code < 500
            ? .debug : problem.status == .serviceUnavailable ? .warning : .error
        api.logger.log(
            level: level, "request failed",
            metadata: [
                "request": "\(requestID)", "method": "\(request.method)",
                "path": "\(context.loggedPath(of: request))", "status": "\(problem.status.code)",
                "detail": "\(problem.detail)", "error": "\(error)",
            ])
    }

    /// A client's own ID, if it is short and printable.
    private static func acceptable(_ id: String) -> String? {
        (1...128).contains(id.utf8.count) && id.utf8.allSatisfy { (0x21...0x7E).contains($0) }
            ? id : nil
    }

    private static func newID() -> String { String(UInt64.random(in: 0...(.max)), radix: 16) }
}

extension HTTPField.Name {
    static let requestID = HTTPField.Name("X-Request-ID")!
    static let ledgerPosition = HTTPField.Name("X-Ledger-Position")!
    static let correlationID = HTTPField.Name("X-Correlation-ID")!
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    static let idempotencyReplayed = HTTPField.Name("Idempotency-Replayed")!
    /// Marks a request that another node has passed on.
    static let ledgerForwarded = HTTPField.Name("X-Ledger-Forwarded")!
    static let ledgerMinPosition = HTTPField.Name("X-Ledger-Min-Position")!
    static let lastEventID = HTTPField.Name("Last-Event-ID")!
}

/// The dispatcher of a node, while it has one.
package final class Dispatchers: Sendable {
    private let dispatcher: Mutex<Dispatcher?>

    package init(_ dispatcher: Dispatcher? = nil) { self.dispatcher = Mutex(dispatcher) }

    package var current: Dispatcher? { dispatcher.withLock { $0 } }

    /// Puts another in its place, or none.
    ///
    /// - Returns: the one before.
    @discardableResult
    package func replace(with next: Dispatcher?) -> Dispatcher? {
        dispatcher.withLock { current in
            defer { current = next }
            return current
        }
    }
}
