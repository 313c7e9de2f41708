import CCurl

/// Sends HTTP requests one after the other, and keeps the connection between them.
///
/// It blocks its thread and belongs to it. It follows no redirect, takes no proxy from the
/// environment, and keeps no cookies.
package final class Transfer {
    private let handle = EasyHandle()

    /// Makes a transfer that has no connection yet.
    package init() {}

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
        let headers = HeaderList(request.headers)
        return withExtendedLifetime((exchange, headers)) {
            (request.body ?? []).withUnsafeBytes { body in
                prepare(request, headers, body, exchange)
                let code =
                    handle.setupCode == CURLE_OK
                    ? curl_easy_perform(handle.pointer) : handle.setupCode
                return code == CURLE_OK
                    ? .success(()) : .failure(handle.error(code, url: request.url))
            }
        }
    }

    /// Sets every option anew; the connections outlast the reset.
    private func prepare(
        _ request: Request,
        _ headers: HeaderList,
        _ body: UnsafeRawBufferPointer,
        _ exchange: Exchange
    ) {
        handle.reset()
        handle.setCommonOptions()
        // An ID may be `..`, which libcurl would take for a step up.
        handle.set(CURLOPT_PATH_AS_IS, 1)
        handle.set(CURLOPT_TIMEOUT_MS, request.timeoutMilliseconds ?? 0)
        handle.set(CURLOPT_CONNECTTIMEOUT_MS, request.connectTimeoutMilliseconds)
        handle.set(CURLOPT_URL, request.url)
        handle.set(CURLOPT_HTTPHEADER, headers.first)
        setMethod(request, body)
        receive(into: exchange)
    }

    private func setMethod(_ request: Request, _ body: UnsafeRawBufferPointer) {
        switch request.method {
        case "GET" where request.body == nil: handle.set(CURLOPT_HTTPGET, 1)
        case "HEAD": handle.set(CURLOPT_NOBODY, 1)
        case let method:
            handle.set(CURLOPT_POST, 1)
            handle.set(CURLOPT_POSTFIELDSIZE_LARGE, offset: body.count)
            if body.isEmpty {
                handle.set(CURLOPT_POSTFIELDS, "")
            } else {
                handle.set(CURLOPT_POSTFIELDS, body.baseAddress)
            }
            handle.set(CURLOPT_CUSTOMREQUEST, method)
        }
    }

    private func receive(into exchange: Exchange) {
        let context = Unmanaged.passUnretained(exchange).toOpaque()
        handle.set(CURLOPT_HEADERDATA, context)
        handle.set(CURLOPT_HEADERFUNCTION) { bytes, _, count, context in
            guard let context else { return 0 }
            let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
            let line = UnsafeRawBufferPointer(start: bytes, count: count)
            return exchange.receive(line: line) ? count : 0
        }
        handle.set(CURLOPT_WRITEDATA, context)
        handle.set(CURLOPT_WRITEFUNCTION) { bytes, _, count, context in
            guard let context else { return 0 }
            let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
            let piece = UnsafeRawBufferPointer(start: bytes, count: count)
            return exchange.receive(body: piece) ? count : 0
        }
    }
}
