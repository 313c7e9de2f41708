import CCurl

/// Sends HTTP requests one after the other, and keeps the connection between them.
///
/// It blocks its thread and belongs to it. It follows no redirect, takes no proxy from the
/// environment, and keeps no cookies.
package final class Transfer {
    let easy: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>
    /// The first option that this libcurl did not take: what it forbids is not to be sent.
    var setupCode = CURLE_OK

    /// Makes a transfer that has no connection yet.
    package init() {
        guard Self.globalInit == CURLE_OK, let easy = curl_easy_init() else {
            fatalError("libcurl could not be set up: out of memory")
        }
        self.easy = easy
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        curl_easy_cleanup(easy)
        errorText.deallocate()
    }

    private static let globalInit = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

    /// Sends `request` and waits for the whole response, whose body has at most `bodyBytesMax`.
    package func perform(
        _ request: Request,
        bodyBytesMax: Int = 64 << 20
    ) throws(CurlError) -> Response {
        var response = Response()
        var isTooLarge = false
        try stream(request) {
            response.head = $0
        } onBody: { piece in
            isTooLarge = response.body.count + piece.count > bodyBytesMax
            if !isTooLarge {
                response.body.append(contentsOf: piece)
            }
            return !isTooLarge
        }
        if isTooLarge {
            throw CurlError(
                kind: .tooLarge,
                description: "the answer of \(request.url) is larger than \(bodyBytesMax) bytes")
        }
        return response
    }

    /// Sends `request` and hands on the response as it comes, until it ends or `onBody` returns
    /// false.
    package func stream(
        _ request: Request,
        onHead: @escaping (ResponseHead) -> Void,
        onBody: @escaping (UnsafeRawBufferPointer) -> Bool
    ) throws(CurlError) {
        let exchange = Exchange(onHead: onHead, onBody: onBody)
        switch (run(request, exchange), exchange.ending) {
        case (_, .stoppedByCaller?), (.success, nil):
            return
        case (_, .headTooLarge?):
            throw CurlError(
                kind: .tooLarge,
                description:
                    "\(request.url) sent more than \(Exchange.headBytesMax) bytes of headers")
        case (.failure(let error), nil):
            throw error
        }
    }

    private func run(_ request: Request, _ exchange: Exchange) -> Result<Void, CurlError> {
        if let reason = request.reasonNotToSend {
            return .failure(CurlError(kind: .invalidRequest, description: reason))
        }
        let headers = HeaderList(request)
        return withExtendedLifetime((exchange, headers)) {
            (request.body ?? []).withUnsafeBytes { body in
                prepare(request, headers, body, exchange)
                let code = setupCode == CURLE_OK ? curl_easy_perform(easy) : setupCode
                return code == CURLE_OK ? .success(()) : .failure(error(code, request))
            }
        }
    }

    private func error(_ code: CURLcode, _ request: Request) -> CurlError {
        var systemError = 0
        curl_get_long(easy, CURLINFO_OS_ERRNO, &systemError)
        return CurlError(
            code: code, systemError: systemError, url: request.url,
            detail: String(cString: errorText))
    }

    /// Sets every option anew; the connections outlast the reset.
    private func prepare(
        _ request: Request,
        _ headers: HeaderList,
        _ body: UnsafeRawBufferPointer,
        _ exchange: Exchange
    ) {
        curl_easy_reset(easy)
        setupCode = CURLE_OK
        errorText[0] = 0
        set(CURLOPT_ERRORBUFFER, errorText)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_PROXY, "")
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_NETRC, Int(CURL_NETRC_IGNORED.rawValue))
        set(CURLOPT_TCP_KEEPALIVE, 1)
        // An ID may be `..`, which libcurl would take for a step up.
        set(CURLOPT_PATH_AS_IS, 1)
        set(CURLOPT_TIMEOUT_MS, request.timeoutMilliseconds ?? 0)
        set(CURLOPT_CONNECTTIMEOUT_MS, request.connectTimeoutMilliseconds)
        set(CURLOPT_URL, request.url)
        set(CURLOPT_HTTPHEADER, headers.first)
        setMethod(request, body)
        receive(into: exchange)
    }

    private func setMethod(_ request: Request, _ body: UnsafeRawBufferPointer) {
        switch request.method {
        case "GET" where request.body == nil: set(CURLOPT_HTTPGET, 1)
        case "HEAD": set(CURLOPT_NOBODY, 1)
        case let method:
            set(CURLOPT_POST, 1)
            set(CURLOPT_POSTFIELDSIZE_LARGE, offset: body.count)
            if body.isEmpty {
                set(CURLOPT_POSTFIELDS, "")
            } else {
                set(CURLOPT_POSTFIELDS, body.baseAddress)
            }
            set(CURLOPT_CUSTOMREQUEST, method)
        }
    }

    private func receive(into exchange: Exchange) {
        let context = Unmanaged.passUnretained(exchange).toOpaque()
        set(CURLOPT_HEADERDATA, context)
        set(CURLOPT_HEADERFUNCTION) { bytes, _, count, context in
            guard let context else { return 0 }
            let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
            let line = UnsafeRawBufferPointer(start: bytes, count: count)
            return exchange.receive(line: line) ? count : 0
        }
        set(CURLOPT_WRITEDATA, context)
        set(CURLOPT_WRITEFUNCTION) { bytes, _, count, context in
            guard let context else { return 0 }
            let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
            let piece = UnsafeRawBufferPointer(start: bytes, count: count)
            return exchange.receive(body: piece) ? count : 0
        }
    }
}
