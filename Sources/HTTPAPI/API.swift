import Domain
import EventLog
import HTTPTypes
import Hummingbird
import Logging
import Projections
import Telemetry
import Webhooks

/// The ledger over HTTP: routes, and what they share.
package struct API: Sendable {
    let log: EventLog
    let results: ResultsReader
    /// Nil on a node that delivers no webhooks.
    let dispatcher: Dispatcher?
    let metrics: LedgerMetrics
    let logger: Logger
    /// Whether a request without a key is served.
    let servesWithoutKey: Bool

    package init(
        log: EventLog, results: ResultsReader, dispatcher: Dispatcher?, metrics: LedgerMetrics,
        logger: Logger, servesWithoutKey: Bool
    ) {
        self.log = log
        self.results = results
        self.dispatcher = dispatcher
        self.metrics = metrics
        self.logger = logger
        self.servesWithoutKey = servesWithoutKey
    }

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
        addFlagRoutes(to: router)
        addSelectionRoutes(to: router)
        addFunctionRoutes(to: router)
        addScoreRoutes(to: router)
        addResultsRoutes(to: router)
        addEventRoutes(to: router)
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
}

/// Around every request: its ID, its time, and its error made readable.
private struct Responder<Inner: HTTPResponder>: HTTPResponder
where Inner.Context == APIContext {
    let router: Inner
    let api: API

    func respond(to request: Request, context: APIContext) async throws -> Response {
        let started = ContinuousClock.now
        let requestID = request.headers[.requestID].flatMap(Self.acceptable) ?? Self.newID()
        var response: Response
        do {
            try request.refuseNUL()
            response = try await router.respond(to: request, context: context)
            if context.matchedNoRoute { response = HTTPProblem.noRoute(request).response }
        } catch {
            let problem = HTTPProblem(error)
            log(problem, error, request, requestID)
            response = problem.response
        }
        response.headers[.requestID] = requestID
        api.logger.debug(
            "request",
            metadata: [
                "request": "\(requestID)", "method": "\(request.method)",
                "path": "\(request.uri.path)", "status": "\(response.status.code)",
            ])
        let route = context.matchedNoRoute ? "none" : context.endpointPath ?? "none"
        let method = request.method.rawValue
        api.metrics.requestSeconds(route: route, method: method)
            .observe(ContinuousClock.now - started)
        api.metrics.requests(route: route, method: method, status: response.status.code)
            .increment()
        return response
    }

    private func log(
        _ problem: HTTPProblem, _ error: any Error, _ request: Request, _ requestID: String
    ) {
        let level: Logger.Level =
            problem.status.code < 500
            ? .debug : problem.status == .serviceUnavailable ? .warning : .error
        api.logger.log(
            level: level, "request failed",
            metadata: [
                "request": "\(requestID)", "method": "\(request.method)",
                "path": "\(request.uri.path)", "status": "\(problem.status.code)",
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
    static let lastEventID = HTTPField.Name("Last-Event-ID")!
}
