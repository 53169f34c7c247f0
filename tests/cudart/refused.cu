// SPDX-License-Identifier: MIT
/* Calls that are not offered answer so, whatever their arguments, and leave it as the last error. */
#include "test.h"

extern "C" {
cudaError_t cudaDestroyExternalMemory(void *memory);
cudaError_t cudaImportExternalSemaphore(void *semaphore, const void *desc);
cudaError_t cudaGetExportTable(const void **table, const void *id);
cudaError_t cudaGraphicsMapResources(int count, void *resources, cudaStream_t stream);
cudaError_t cudaImportExternalMemory(void *memory, const void *desc);
}

int main()
{
	const void *table = NULL;
	char handle[64];
	void *p;

	RT(cudaMalloc(&p, 64));
	WANT(cudaErrorNotSupported, cudaDestroyExternalMemory(p));
	WANT(cudaErrorNotSupported, cudaGetLastError());
	RT(cudaGetLastError());
	WANT(cudaErrorNotSupported, cudaImportExternalSemaphore(&p, handle));
	WANT(cudaErrorNotSupported, cudaGetExportTable(&table, handle));
	CHECK(!table, "a private table");
	WANT(cudaErrorNotSupported, cudaGraphicsMapResources(0, NULL, 0));
	WANT(cudaErrorNotSupported, cudaImportExternalMemory(NULL, NULL));
	WANT(cudaErrorNotSupported, cudaPeekAtLastError());
	printf("refusals are right\n");
	return 0;
}
