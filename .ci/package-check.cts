import { Crane } from 'crane-tfjs';

const loaded: Promise<Crane> = Crane.load();
void loaded;
