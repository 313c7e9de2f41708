import CCurl
import Glibc

extension TargetTransfer {
    /// Sets what is the same for all requests to the target.
    func setFixedOptions(_ options: Target.Options) {
        handle.setCommonOptions()
        handle.set(CURLOPT_NOPROXY, "*")
        handle.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        handle.set(CURLOPT_POST, 1)
        handle.set(CURLOPT_URL, options.url)
        handle.set(CURLOPT_TIMEOUT_MS, options.timeoutMilliseconds)
        handle.set(CURLOPT_CONNECTTIMEOUT_MS, options.connectTimeoutMilliseconds)
        setConnectionOptions()
        setTLSOptions(options)
        setCallbacks()
    }

    private func setConnectionOptions() {
        handle.set(CURLOPT_TCP_NODELAY, 1)
        // The other side may close what is idle; a minute is what most servers grant.
        handle.set(CURLOPT_MAXAGE_CONN, 60)
        // Without it, ending a transfer during a name look-up waits for the system's resolver.
        handle.set(CURLOPT_QUICK_EXIT, 1)
        // Only new connections look names up, and the end of each transfer walks through all the
        // names in the cache.
        handle.set(CURLOPT_DNS_CACHE_TIMEOUT, 1)
        // Small, as there may be thousands; answers are small, and rarely read.
        handle.set(CURLOPT_BUFFERSIZE, 4 << 10)
        handle.set(CURLOPT_UPLOAD_BUFFERSIZE, 16 << 10)
    }

    private func setTLSOptions(_ options: Target.Options) {
        handle.set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        handle.set(CURLOPT_SSL_VERIFYPEER, 1)
        handle.set(CURLOPT_SSL_VERIFYHOST, 2)
        // A directory of certificates would be trusted besides those of the target, and keeps
        // libcurl from reading the system's only once.
        handle.set(CURLOPT_CAPATH, nil as UnsafeRawPointer?)
        if let caPEM = options.caPEM {
            handle.set(CURLOPT_CAINFO_BLOB, blob: caPEM)
        }
        if let certificatePEM = options.certificatePEM {
            handle.set(CURLOPT_SSLCERTTYPE, "PEM")
            handle.set(CURLOPT_SSLCERT_BLOB, blob: certificatePEM)
        }
        if let keyPEM = options.keyPEM {
            handle.set(CURLOPT_SSLKEYTYPE, "PEM")
            handle.set(CURLOPT_SSLKEY_BLOB, blob: keyPEM)
        }
    }

    private func setCallbacks() {
        let context = UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
        handle.set(CURLOPT_PRIVATE, context)
        handle.set(CURLOPT_HEADERDATA, context)
        handle.set(CURLOPT_HEADERFUNCTION) { bytes, _, count, context in
            let line = UnsafeRawBufferPointer(start: bytes, count: count)
            return TargetTransfer.at(context).receive(line: line) ? count : 0
        }
        handle.set(CURLOPT_WRITEDATA, context)
        handle.set(CURLOPT_WRITEFUNCTION) { bytes, _, count, context in
            let piece = UnsafeRawBufferPointer(start: bytes, count: count)
            return TargetTransfer.at(context).receive(body: piece) ? count : 0
        }
        handle.set(CURLOPT_PREREQDATA, context)
        handle.set(beforeSending: { context, address, _, _, _ in
            let isPermitted = TargetTransfer.at(context).maySend(
                to: address.flatMap { IPAddress(text: $0) })
            return isPermitted ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
        })
        setSocketCallbacks(context)
    }

    private func setSocketCallbacks(_ context: UnsafeRawPointer) {
        handle.set(CURLOPT_OPENSOCKETDATA, context)
        handle.set(openSocket: { context, _, address in
            guard let address else { return CURL_SOCKET_BAD }
            let isPermitted = withUnsafePointer(to: &address.pointee.addr) {
                TargetTransfer.at(context).mayOpenSocket(to: IPAddress($0))
            }
            guard isPermitted else { return CURL_SOCKET_BAD }
            return TargetTransfer.at(context).sockets.open(
                address.pointee.family, address.pointee.socktype, address.pointee.protocol)
        })
        // A connection outlives the transfer that opened it, so this context is the poller.
        handle.set(
            CURLOPT_CLOSESOCKETDATA,
            UnsafeRawPointer(Unmanaged.passUnretained(sockets).toOpaque()))
        handle.set(closeSocket: { context, socket in
            SocketPoller.at(context).close(socket)
        })
    }
}

extension TargetTransfer {
    /// The transfer that a callback's context stands for.
    static func at(_ context: UnsafeMutableRawPointer?) -> TargetTransfer {
        guard let context else { fatalError("libcurl lost the context of a callback") }
        return Unmanaged<TargetTransfer>.fromOpaque(context).takeUnretainedValue()
    }
}
